import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatInterest, parseInterest } from './interest.ts'
import type { InterestChange } from './interest.ts'
import type { ConnectionChange, ConnectionMessage } from './connection-entry.ts'
import { dropConnections, knowConnection, takeConnection } from './connections.ts'
import type { Connections } from './connections.ts'

const room = 'user:alice'
const [edge, other] = ['edge-1#a', 'edge-2#b']

const message = (connection: string, options: Partial<ConnectionMessage> = {}): ConnectionMessage => ({
  type: 'connection',
  room,
  connection,
  change: 'open',
  replaces: '',
  limit: 2,
  ...options,
})
const take = (all: Connections, each: ConnectionMessage, boot: string) => takeConnection(all, each, { boot, inc: 3 })
const outcome = (all: Connections, connection: string, options: Partial<ConnectionMessage> = {}, boot = edge) =>
  take(all, message(connection, options), boot).told.map((each) => `${each.connection} ${each.outcome}`)
const full = (): Connections => {
  const all: Connections = new Map()
  outcome(all, 'c1')
  outcome(all, 'c2', {}, other)
  return all
}
const ids = (all: Connections): string[] => [...(all.get(room)?.keys() ?? [])]

describe('connections of a user', () => {
  it('[UC1] as many as the limit are taken wherever they are; the next is refused and changes nothing', () => {
    const all: Connections = new Map()
    expect(outcome(all, 'c1')).toEqual(['c1 taken'])
    expect(outcome(all, 'c2', {}, other)).toEqual(['c2 taken'])
    expect(take(all, message('c3'), other)).toEqual({
      rows: [],
      told: [{ boot: other, connection: 'c3', outcome: 'refused' }],
    })
    expect(ids(all)).toEqual(['c1', 'c2'])
    expect(outcome(all, 'c3', { room: 'user:bob' })).toEqual(['c3 taken'])
  })

  it('[UC2] at the limit, one that names another of the same user takes its place, and the edge of that one is told', () => {
    const all = full()
    expect(take(all, message('c3', { replaces: 'c1' }), other).told).toEqual([
      { boot: edge, connection: 'c1', outcome: 'replaced' },
      { boot: other, connection: 'c3', outcome: 'taken' },
    ])
    expect(ids(all)).toEqual(['c2', 'c3'])
    // What ends later is not there any more.
    expect(outcome(all, 'c1', { change: 'closed' })).toEqual([])
    expect(ids(all)).toEqual(['c2', 'c3'])
  })

  it('[UC2] above the limit too each takes the place of one, and one that is counted stays', () => {
    const all = full()
    outcome(all, 'c3', { change: 'kept' })
    expect(outcome(all, 'c1')).toEqual(['c1 taken'])
    expect(outcome(all, 'c4', { replaces: 'c3' })).toEqual(['c3 replaced', 'c4 taken'])
    expect(outcome(all, 'c5')).toEqual(['c5 refused'])
    expect(ids(all)).toEqual(['c1', 'c2', 'c4'])
  })

  it('[UC2] a client that never heard of the connection it made names the one before again, and means that one', () => {
    const all = full()
    outcome(all, 'c3', { replaces: 'c1' })
    expect(take(all, message('c4', { replaces: 'c1' }), other).told).toEqual([
      { boot: edge, connection: 'c3', outcome: 'replaced' },
      { boot: other, connection: 'c4', outcome: 'taken' },
    ])
    expect(outcome(all, 'c5', { replaces: 'c1' })).toEqual(['c4 replaced', 'c5 taken'])
    expect(outcome(all, 'c6', { replaces: 'c3' })).toEqual(['c6 refused'])
    expect(ids(all)).toEqual(['c2', 'c5'])
    // One that is there already says nothing of now: another has its place.
    expect(outcome(all, 'c4', { change: 'kept', replaces: 'c1' })).toEqual(['c4 taken'])
    expect(ids(all)).toEqual(['c2', 'c5', 'c4'])
  })

  it('[UC2] a name that nobody has, of somebody else or its own, is no place', () => {
    const all = full()
    outcome(all, 'b1', { room: 'user:bob' })
    for (const replaces of ['c9', 'b1', 'c3']) expect(outcome(all, 'c3', { replaces })).toEqual(['c3 refused'])
    expect(ids(all)).toEqual(['c1', 'c2'])
    expect(all.get('user:bob')?.size).toBe(1)
  })

  it('[UC3] a message that comes again is answered again, and counts once', () => {
    const all = full()
    expect(take(all, message('c1'), edge)).toEqual({
      rows: [],
      told: [{ boot: edge, connection: 'c1', outcome: 'taken' }],
    })
    outcome(all, 'c3', { replaces: 'c1' })
    expect(outcome(all, 'c3', { replaces: 'c1' })).toEqual(['c3 taken'])
    expect(ids(all)).toEqual(['c2', 'c3'])
  })

  it('[UC4] one that is open already counts whatever the limit, and under its edge’s new boot instead of the old', () => {
    const all = full()
    expect(outcome(all, 'c3', { change: 'kept' })).toEqual(['c3 taken'])
    const { rows } = take(all, message('c1', { change: 'kept' }), 'edge-1#c')
    expect(rows).toEqual([
      { room, boot: edge, connection: 'c1', after: '', inc: 3, on: false },
      { room, boot: 'edge-1#c', connection: 'c1', after: '', inc: 3, on: true },
    ])
    expect(dropConnections(all, (boot) => boot === edge)).toEqual([
      { room, boot: edge, connection: 'c3', after: '', inc: 3, on: false },
    ])
    expect(ids(all).toSorted()).toEqual(['c1', 'c2'])
  })

  it('[UC5] what was counted before a loss of continuity is not known to the next owner, and is removed', () => {
    const all = full()
    const [row] = take(all, message('c3', { change: 'kept' }), edge).rows
    if (row === undefined) throw new Error('no row')
    const next: Connections = new Map()
    expect(knowConnection(next, row, 4)).toEqual({ ...row, on: false })
    expect(next.size).toBe(0)
    expect(knowConnection(next, row, 3)).toBeUndefined()
    expect(ids(next)).toEqual(['c3'])
  })

  it('[UC5] who ends makes room for one; an edge that is gone for all that it had', () => {
    const all = full()
    expect(outcome(all, 'c1', { change: 'closed' })).toEqual([])
    expect(outcome(all, 'c3')).toEqual(['c3 taken'])
    expect(outcome(all, 'c4')).toEqual(['c4 refused'])
    dropConnections(all, (boot) => boot === other)
    expect(outcome(all, 'c4')).toEqual(['c4 taken'])
    dropConnections(all, () => true)
    expect(all.size).toBe(0)
  })

  it('[UC6] what the store keeps is what the worker knows; one that is counted is taken, and no other at or above the limit', () => {
    const id = fc.integer({ min: 1, max: 8 }).map((n) => `c${n}`)
    const step = fc.record({
      connection: id,
      replaces: fc.oneof(fc.constant(''), id),
      change: fc.constantFrom<ConnectionChange[]>('open', 'open', 'open', 'kept', 'closed'),
      boot: fc.constantFrom(edge, other),
      room: fc.constantFrom('user:alice', 'user:bob'),
      gone: fc.nat({ max: 9 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 4 }), (steps, limit) => {
        const all: Connections = new Map()
        const stored = new Set<string>()
        const write = (rows: readonly InterestChange[]): void => {
          for (const { on, ...who } of rows)
            if (on) stored.add(formatInterest(who))
            else stored.delete(formatInterest(who))
        }
        for (const { boot, gone, ...fields } of steps) {
          const sizeBefore = all.get(fields.room)?.size ?? 0
          const wasIn = all.get(fields.room)?.has(fields.connection) === true
          const { rows, told } = take(all, message(fields.connection, { ...fields, limit }), boot)
          write(rows)
          const mine = told.filter(({ connection }) => connection === fields.connection).map((each) => each.outcome)
          const isIn = all.get(fields.room)?.has(fields.connection) === true
          expect(mine).toEqual(fields.change === 'closed' ? [] : [isIn ? 'taken' : 'refused'])
          if (fields.change !== 'closed' && wasIn) expect(isIn).toBe(true)
          const size = all.get(fields.room)?.size ?? 0
          if (fields.change === 'open') expect(size).toBeLessThanOrEqual(Math.max(limit, sizeBefore))
          if (gone === 0) write(dropConnections(all, (each) => each === boot))
        }
        const again: Connections = new Map()
        for (const text of stored) expect(knowConnection(again, parseInterest(text), 3)).toBeUndefined()
        expect(again).toEqual(all)
      }),
    )
  })
})
