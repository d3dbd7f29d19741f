import { describe, expect, it } from 'vitest'
import { presenceGraceMs } from './limits.ts'
import type { PresenceRecord, PresentUser } from './member-entry.ts'
import { createPresence, maxPromptMembers, stepPresence } from './presence.ts'
import type { PresenceInput } from './presence.ts'
import { slotOf } from './slot.ts'

const room = 'chat:acme:1'
const shape = { slots: 8, lanes: 2 }
const present = (user: string, state = ''): PresentUser => ({ user, sinceMs: 5, state, connections: 1 })
const list = (...users: PresentUser[]): PresenceRecord => ({
  ...{ type: 'presence', room, nonce: '1', count: users.length, all: users, in: [], out: [] },
})
const change = (came: readonly PresentUser[], left: readonly string[] = [], count = 9): PresenceRecord => ({
  ...{ type: 'presence', room, nonce: '', count, in: came },
  out: left.map((user) => ({ user, lastMs: 7 })),
})
function setup() {
  const state = createPresence(shape)
  let now = 1_000
  /** What is told to whom, and sent. */
  const step = (input: PresenceInput): string[] =>
    stepPresence(state, input, now).map((effect) => {
      if (effect.type === 'told') {
        const { members, joined = [], changed = [], left = [] } = effect.news
        const news = [
          ...(members === undefined
            ? []
            : [members === null ? 'many' : `=${members.map(({ user }) => user).join('+')}`]),
          ...joined.map(({ user }) => `+${user}`),
          ...changed.map((each) => `~${each.user}${each.state}`),
          ...left.map(({ user }) => `-${user}`),
        ]
        return `${effect.to.join()}: ${news.join(' ')}`
      }
      const { message } = effect
      return message.type === 'query' ? 'ask' : `${message.change} ${message.connection} ${message.state}`.trim()
    })
  const watch = (connection: string): PresenceInput => ({ type: 'watch', room, connection, on: true })
  const enter = (connection: string): PresenceInput => ({ type: 'enter', room, connection, user: 'ann' })
  return { state, step, watch, enter, wait: (ms: number) => (now += ms) }
}

describe('members as an edge knows them', () => {
  it('[PS15] a connection enters once, shows something in all of its rooms, and is gone from all when it ends', () => {
    const { step, enter, state } = setup()
    expect(step(enter('c1'))).toEqual(['in c1'])
    expect(step(enter('c1'))).toEqual([])
    step({ ...enter('c1'), room: 'chat:acme:2' } as PresenceInput)
    expect(step({ type: 'show', connection: 'c1', state: '{}' })).toEqual(['in c1 {}', 'in c1 {}'])
    expect(step({ type: 'leave', room, connection: 'c1', change: 'out' })).toEqual(['out c1'])
    expect(step({ type: 'closed', connection: 'c1' })).toEqual(['gone c1'])
    expect([state.rooms.size, state.connections.size]).toEqual([0, 0])
  })

  it('[PS19] who could not be told of is told of a second later, and not taken back when nobody ever heard of it', () => {
    const { step, enter } = setup()
    const untold = (connection: string): PresenceInput => ({ type: 'untold', room, connection })
    const out = (connection: string): PresenceInput => ({ type: 'leave', room, connection, change: 'out' })
    step(enter('c1'))
    step(untold('c1'))
    expect(step({ type: 'tick' })).toEqual(['in c1'])
    expect(step({ type: 'tick' })).toEqual([])
    expect(step(out('c1'))).toEqual(['out c1'])
    step(enter('c2'))
    step(untold('c2'))
    expect(step(out('c2'))).toEqual([])
    expect(step({ type: 'tick' })).toEqual([])
    // The worker has heard of it before.
    step(enter('c3'))
    step({ type: 'show', connection: 'c3', state: '{}' })
    step(untold('c3'))
    expect(step(out('c3'))).toEqual(['out c3'])
    expect(step(untold('c4'))).toEqual([])
  })

  it('[PS16] who watches is told of everybody, then of changes; the first asks, and who comes later is told at once', () => {
    const { step, watch, state } = setup()
    expect(step(watch('w1'))).toEqual(['ask'])
    // In the list that is to come.
    expect(step(change([present('ann')]))).toEqual([])
    expect(step(list(present('ann')))).toEqual(['w1: =ann'])
    expect(step(change([present('bob')]))).toEqual(['w1: +bob'])
    expect(step(watch('w2'))).toEqual(['w2: =ann+bob'])
    expect(step(change([present('bob', 'x')], ['ann']))).toEqual(['w1,w2: ~bobx -ann'])
    expect(step(change([present('bob', 'x')]))).toEqual([])
    step({ type: 'watch', room, connection: 'w1', on: false })
    step({ type: 'closed', connection: 'w2' })
    expect(step(change([present('cat')]))).toEqual([])
    expect(state.rooms.size).toBe(0)
  })

  it('[PS17] after a loss everybody here is told of again, the list is asked for again, and nobody has left who comes in time', () => {
    const { step, watch, enter, wait } = setup()
    step(enter('c1'))
    step(watch('w1'))
    step(list(present('ann'), present('bob'), present('cat')))
    expect(step({ type: 'reset', slot: slotOf(room, shape.slots) })).toEqual(['in c1'])
    expect(step({ type: 'reset', slot: (slotOf(room, shape.slots) + 1) % shape.slots })).toEqual([])
    expect(step({ type: 'resync', lane: slotOf(room, shape.slots) % shape.lanes })).toEqual(['in c1'])
    expect(step({ type: 'interest', room })).toEqual(['ask'])
    expect(step(list(present('ann'), present('dan')))).toEqual(['w1: +dan'])
    expect(step(change([present('bob')]))).toEqual([])
    wait(presenceGraceMs - 1)
    expect(step({ type: 'tick' })).toEqual([])
    wait(1)
    expect(step({ type: 'tick' })).toEqual(['w1: -cat'])
    expect(step({ type: 'interest', room: 'chat:acme:2' })).toEqual([])
  })

  it('[PS17] a list that does not come is asked for again', () => {
    const { step, watch, wait } = setup()
    step(watch('w1'))
    wait(4_999)
    expect(step({ type: 'tick' })).toEqual([])
    wait(1)
    expect(step({ type: 'tick' })).toEqual(['ask'])
    step(list())
    wait(60_000)
    expect(step({ type: 'tick' })).toEqual([])
  })

  it('[PS18] in a large room changes are told once a second, and who came and left meanwhile not at all', () => {
    const { step, watch } = setup()
    const many = Array.from({ length: maxPromptMembers + 5 }, (_, i) => present(`u${i}`))
    step(watch('w1'))
    step(list(...many))
    expect(step(change([present('ann'), present('bob')]))).toEqual([])
    expect(step(change([present('bob', 'x')], ['ann', 'u1', 'u2']))).toEqual([])
    expect(step(change([present('u2')]))).toEqual([])
    // Who begins to watch now is not told of anything twice, and makes nobody be told before the time.
    expect(step(watch('w2'))).toEqual([])
    expect(step(watch('w3'))).toEqual([])
    expect(step(change([], ['u3']))).toEqual([])
    expect(step({ type: 'tick' }).map((each) => each.slice(0, 9))).toEqual(['w1: +bob ', 'w2,w3: =u'])
    expect(step(change([], ['u4']))).toEqual([])
    expect(step({ type: 'tick' })).toEqual(['w1,w2,w3: -u4'])
    // One that asked again, or went, before it was told.
    step(watch('w4'))
    step(watch('w5'))
    step({ type: 'watch', room, connection: 'w4', on: false })
    expect(step({ type: 'tick' }).map((each) => each.slice(0, 6))).toEqual(['w5: =u'])
  })

  it('[PS16] who comes while the list is asked for again is told of everybody too', () => {
    const { step, watch } = setup()
    step(watch('w1'))
    step(list(present('ann')))
    expect(step({ type: 'interest', room })).toEqual(['ask'])
    expect(step(watch('w2'))).toEqual(['w2: =ann'])
    expect(step(list(present('ann'), present('bob')))).toEqual(['w1,w2: +bob'])
  })

  it('[PS20] of a room that a connection has left nothing is kept, however many it goes through', () => {
    const { step, state } = setup()
    step({ type: 'enter', room: 'chat:acme:0', connection: 'c1', user: 'ann' })
    for (let i = 1; i <= 100; i += 1) {
      const each = { room: `chat:acme:${i}`, connection: 'c1' }
      step({ type: 'enter', ...each, user: 'ann' })
      step({ type: 'watch', ...each, on: true })
      step({ type: i % 2 === 0 ? 'watch' : 'leave', ...each, on: false, change: 'out' } as PresenceInput)
      expect(state.connections.get('c1')?.rooms.size).toBe(2)
      step({ type: 'watch', ...each, on: false })
      step({ type: 'leave', ...each, change: 'out' })
    }
    expect(state.connections.get('c1')?.rooms).toEqual(new Set(['chat:acme:0']))
    expect(state.rooms.size).toBe(1)
    step({ type: 'untold', room: 'chat:acme:0', connection: 'c1' })
    step({ type: 'closed', connection: 'c1' })
    expect([state.rooms.size, state.connections.size]).toEqual([0, 0])
  })

  it('[PS18] of too many only the number is told; when they are fewer again they are asked for', () => {
    const { step, watch } = setup()
    step(watch('w1'))
    const many: PresenceRecord = { ...list(), count: 6_000, all: null }
    expect(step(many)).toEqual(['w1: many'])
    expect(step({ ...many, nonce: '', count: 6_001 })).toEqual(['w1: many'])
    expect(step(watch('w2'))).toEqual(['w2: many'])
    expect(step(change([present('ann')]))).toEqual(['ask'])
    expect(step(list(present('ann')))).toEqual(['w1,w2: =ann'])
  })

  it('[PS6] a list that comes with those who left meanwhile says that they did', () => {
    const { step, watch } = setup()
    step(watch('w1'))
    step(list(present('ann'), present('bob')))
    const record = { ...list(present('ann'), present('cat')), nonce: '', out: [{ user: 'bob', lastMs: 7 }] }
    expect(step(record)).toEqual(['w1: +cat -bob'])
  })
})
