import { createKeys } from '@flotilla/node/store/redis/keys'
import { describe, expect, test } from 'vitest'
import { boundsOf, judgeBounds } from './bounds.mjs'
import { kindOf, tally } from './inventory.mjs'

const keys = createKeys('', { slots: 128, lanes: 1 })

describe('inventory', () => {
  test('every key of the store has its kind', () => {
    const kinds = {
      slots: keys.slots(0),
      in: keys.input(5),
      dead: keys.dead(0),
      interest: keys.interest(5),
      log: keys.log('public:{a}:out:b'),
      out: keys.outbox(0, 'edge-1#b'),
      members: keys.members,
    }
    for (const [kind, key] of Object.entries(kinds)) expect(kindOf(key)).toBe(kind)
    for (const key of [keys.plan, keys.lead, keys.epoch, keys.shape, keys.place]) expect(kindOf(key)).toBe('fleet')
    expect(kindOf('somebody:else')).toBe('other')
  })

  test('a kind has its keys, its entries, its largest, and what the longest log holds', () => {
    const rows = [
      [keys.log('public:a'), 2, 100, '10-0', '20-0'],
      [keys.log('public:b'), 5, 300, '1-0', '5-0'],
      [keys.input(1), 0, 80, '', ''],
    ]
    const { log, in: input } = tally(rows)
    expect(log).toEqual({ keys: 2, entries: 7, most: 5, bytes: 400, messages: 11 })
    expect(input).toMatchObject({ keys: 1, entries: 0 })
  })
})

describe('bounds', () => {
  const shape = {
    edges: 2,
    producers: 3,
    processes: 5,
    lanes: 1,
    rooms: 2,
    interest: 4,
    roomEventsPerSecond: 1,
  }
  const held = { connections: 0, windowBytes: 0, inFlight: 0, messages: 0 }
  const judged = (kinds, more = {}) => {
    const sample = { seconds: 300, kinds, held: { ...held, ...more } }
    return judgeBounds(boundsOf(shape), [sample]).filter((bound) => !bound.held)
  }

  test('nothing there breaks nothing', () => {
    expect(judged({})).toEqual([])
  })

  test('one key too many of any kind breaks its bound', () => {
    const limits = { in: 128, out: 3, log: 2, slots: 1, interest: 128, dead: 0, fleet: 5, other: 0 }
    for (const [kind, limit] of Object.entries(limits)) {
      const of = (keys_) => ({ [kind]: { keys: keys_, entries: 0, most: 0, bytes: 0, messages: 0 } })
      expect(judged(of(limit))).toEqual([])
      expect(judged(of(limit + 1))).toHaveLength(1)
    }
  })

  test('a slow room’s log is bound by the history, a fast one’s by two minutes', () => {
    const most = (roomEventsPerSecond) =>
      boundsOf({ ...shape, roomEventsPerSecond }).find(({ name }) => name === 'entries of a room log').limit
    expect(most(1)).toBe(1_000 + 164)
    expect(most(100)).toBe(12_500 + 164)
  })

  test('a log is not judged while it has what came before the soak', () => {
    const sample = (seconds, most) => ({
      seconds,
      held,
      kinds: { log: { keys: 1, entries: most, most, bytes: 0, messages: 0 } },
    })
    const broken = (samples) => judgeBounds(boundsOf(shape), samples).filter((bound) => !bound.held)
    expect(broken([sample(100, 5_000), sample(130, 1_100)])).toEqual([])
    expect(broken([sample(100, 1_100), sample(130, 5_000)])).toHaveLength(1)
  })

  test('keys are those of the messages of the last two minutes', () => {
    const samples = [0, 60, 120, 180].map((seconds) => ({
      seconds,
      kinds: {},
      held: { ...held, messages: seconds * 10 },
    }))
    const [keysHeld] = judgeBounds(boundsOf(shape), samples).filter(({ variable }) => variable === 'maxRememberedKeys')
    expect(keysHeld).toMatchObject({ most: 1_200, last: 1_200, held: true })
  })
})
