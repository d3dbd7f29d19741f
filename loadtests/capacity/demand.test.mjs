import { describe, expect, test } from 'vitest'
import { costByCopies, edgesOfRoom, fleetFor } from './demand.mjs'
import { figuresFrom, measuredLast } from './figures.mjs'

const units = {
  redisUsPerMessage: { base: 5, perCopy: 1 },
  workerUsPerMessage: { base: 10, perCopy: 0 },
  edgeUsPerCopy: 2,
  ingestUsPerMessage: 60,
  edgeUsPerDelivery: 10,
  edgeUsPerIdleSecond: 6,
  edgeKilobytes: 10,
  roomBytes: 4_000,
  interestBytes: 50,
  eventBytes: 300,
}

describe('what a fleet needs', () => {
  test('members of a room are on one edge, on nearly as many as they are, or on all', () => {
    expect(edgesOfRoom(1, 10)).toBe(1)
    expect(edgesOfRoom(1_000, 10)).toBeCloseTo(9.96, 1)
    expect(edgesOfRoom(4, 1_000)).toBeCloseTo(4)
  })

  test('what a copy costs comes out of what several cost', () => {
    const points = [1, 2, 8].map((copies) => ({ copies, us: 5 + 0.5 * copies }))
    const { base, perCopy } = costByCopies(points)
    expect(base).toBeCloseTo(5)
    expect(perCopy).toBeCloseTo(0.5)
  })

  test('an idle fleet is as many edges as its connections need, and keeps no history', () => {
    const idle = fleetFor({ connections: 1_000_000, members: 10, eventsPerSecond: 0 }, units)
    expect(idle).toMatchObject({ edges: 50, workers: 2, ingest: 2, primaries: 1 })
    expect(idle.redisGigabytes).toBeLessThan(0.2)
  })

  test('a busy fleet has the edges that its deliveries need, at 60 % of a core', () => {
    const { edges, copies, ingest, workers } = fleetFor(
      { connections: 1_000_000, members: 10, eventsPerSecond: 1_000_000 },
      units,
    )
    const cores = (1e6 * (10 * 10 + copies * 2) + 1e6 * 6) / 1e6
    expect(edges).toBe(Math.ceil(cores / 0.6))
    expect(ingest).toBe(100)
    expect(workers).toBe(17)
  })

  test('a lane remembers the keys of 70,000 messages per second', () => {
    const free = { ...units, redisUsPerMessage: { base: 0, perCopy: 0 } }
    const { primaries } = fleetFor({ connections: 1_000_000, members: 10, eventsPerSecond: 1_000_000 }, free)
    expect(primaries).toBe(15)
  })
})

describe('figures', () => {
  test('without runs they are those measured last', () => {
    const { units: figures, from } = figuresFrom({})
    expect(figures).toEqual(measuredLast)
    expect(new Set(Object.values(from))).toEqual(new Set(['measured last']))
  })

  test('a run’s own come first', () => {
    const row = (at, edge) => ({ at, kilobytesPerConnection: 12, microsecondsPerIdleSecond: { edge } })
    const growth = { curves: { connections: { rows: [row(1_000, 20), row(11_000, 4)] } } }
    const { units: figures, from } = figuresFrom({ growth })
    expect(figures.edgeKilobytes).toBe(12)
    expect(figures.edgeUsPerIdleSecond).toBeCloseTo(2.4)
    expect(from.edgeKilobytes).toBe('out/growth.json')
    expect(from.eventBytes).toBe('measured last')
  })
})
