import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatInterest, parseInterest } from './interest.ts'
import type { InterestChange } from './interest.ts'
import { decodeInput, decodeOut, encodeInput, encodeOut } from './entry.ts'
import { endpointDeadMs, maxListedMembers, presenceGraceMs } from './limits.ts'
import type { MemberChange, MemberMessage } from './member-entry.ts'
import {
  createMembers,
  expireMembers,
  knowMember,
  listEdges,
  listMembers,
  loseMembers,
  takeChanges,
  takeMember,
} from './members.ts'
import type { Members } from './members.ts'

const room = 'chat:acme:1'
const [edge, other] = ['edge-1#a', 'edge-2#b']
const message = (connection: string, change: MemberChange, more: Partial<MemberMessage> = {}): MemberMessage => ({
  ...{ type: 'member', room, connection, user: connection.slice(0, 3), change, state: '' },
  ...more,
})
/** Members, the rows that the store keeps of them, and a clock. */
function setup() {
  const all = createMembers()
  const rows = new Set<string>()
  const at = { now: 1_000_000, wallMs: 5_000_000 }
  const write = (changes: readonly InterestChange[]): void => {
    for (const { on, ...row } of changes) {
      const text = formatInterest(row)
      if (on) expect(rows.has(text)).toBe(false)
      // What is removed is there.
      else expect(rows.delete(text)).toBe(true)
      if (on) rows.add(text)
    }
  }
  return {
    ...{ all, rows, at },
    take: (each: MemberMessage, boot = edge) => write(takeMember(all, each, { ...at, boot, inc: 3 })),
    wait: (ms: number) => {
      at.now += ms
      at.wallMs += ms
      write(expireMembers(all, at.now))
    },
    lose: (boot: string) => loseMembers(all, (each) => each === boot, at.now),
    list: (...boots: string[]) => listEdges(all, new Set(boots), at.now),
    told: () => changesOf(all, at.wallMs),
    users: () => listMembers(all, room).all?.map(({ user }) => user),
    /** The next owner of the slot, after `inc` was this. */
    next: (inc = 3): Members => {
      const taken = createMembers()
      for (const row of rows) knowMember(taken, parseInterest(row), inc)
      return taken
    },
  }
}
const changesOf = (all: Members, wallMs: number): string[] =>
  takeChanges(all, wallMs).flatMap((each) => [
    ...each.in.map(({ user, state }) => `+${user} ${state}`.trim()),
    ...each.out.map(({ user }) => `-${user}`),
  ])

describe('members of a room at its worker', () => {
  it('[PS1] a user joins with its first connection, leaves with its last, and nothing is told in between (RM2)', () => {
    const { take, told, users } = setup()
    take(message('ann1', 'in'))
    take(message('ann2', 'in'), other)
    expect(told()).toEqual(['+ann'])
    take(message('ann1', 'out'))
    expect([told(), users()]).toEqual([[], ['ann']])
    take(message('ann2', 'out'), other)
    expect([told(), users()]).toEqual([['-ann'], []])
  })

  it('[PS2] one whose connection ended is a member for the time of grace, and has never left when it comes back in it (EV5)', () => {
    const { take, told, wait, users } = setup()
    take(message('ann1', 'in'))
    take(message('ann1', 'gone'))
    wait(presenceGraceMs - 1)
    take(message('ann2', 'in'), other)
    wait(presenceGraceMs)
    expect([told(), users()]).toEqual([['+ann'], ['ann']])
    take(message('ann2', 'gone'), other)
    wait(presenceGraceMs)
    expect([told(), users()]).toEqual([['-ann'], []])
  })

  it('[PS3] those of an edge that died leave when the grace is over, counted from its last sign of life (CN7)', () => {
    const { take, told, wait, lose, users, rows } = setup()
    take(message('ann1', 'in'))
    take(message('bob1', 'in'))
    take(message('cat1', 'in'), other)
    lose(edge)
    take(message('bob2', 'in'), other)
    wait(presenceGraceMs - endpointDeadMs - 1)
    expect(users()).toEqual(['ann', 'bob', 'cat'])
    told()
    wait(1)
    expect([told(), users()]).toEqual([['-ann'], ['bob', 'cat']])
    expect(rows.size).toBe(2)
    // An edge that was only slow tells of itself again.
    lose(other)
    take(message('cat1', 'in'), other)
    wait(presenceGraceMs)
    expect(users()).toEqual(['cat'])
  })

  it('[PS23] those of an edge that a list lacked are there again when the next one has it, and are never said to have left', () => {
    const { take, told, wait, list, users } = setup()
    for (const id of ['ann1', 'bob1', 'cat1']) take(message(id, 'in'))
    take(message('bob1', 'gone'))
    told()
    list(other)
    take(message('cat1', 'gone'))
    wait(2_000)
    list(edge, other)
    wait(presenceGraceMs)
    expect([told(), users()]).toEqual([['-cat', '-bob'], ['ann']])
    list(other)
    wait(presenceGraceMs)
    expect([told(), users()]).toEqual([['-ann'], []])
  })

  it('[PS23] a list brings nobody back whose outbox is gone, or who was told of in another incarnation', () => {
    const { take, wait, list, lose, users, next } = setup()
    take(message('ann1', 'in'))
    const taken = next(4)
    lose(edge)
    list(other)
    list(edge)
    wait(presenceGraceMs)
    expect(users()).toEqual([])
    expireMembers(taken, 7)
    listEdges(taken, new Set([other]), 7)
    listEdges(taken, new Set([edge]), 7)
    expect(expireMembers(taken, 7 + presenceGraceMs)).toMatchObject([{ connection: 'ann1', on: false }])
  })

  it('[PS23] who stays is in nothing that is walked through once a second', () => {
    const { take, lose, wait, all } = setup()
    for (const id of ['ann1', 'bob1', 'cat1']) take(message(id, 'in'))
    take(message('dan1', 'in'), other)
    expect([all.leaving.size, all.staying]).toEqual([
      0,
      new Map([
        [edge, 3],
        [other, 1],
      ]),
    ])
    lose(edge)
    expect([all.leaving.size, all.staying]).toEqual([3, new Map([[other, 1]])])
    take(message('bob1', 'in'), other)
    expect([all.leaving.size, all.staying]).toEqual([2, new Map([[other, 2]])])
    wait(presenceGraceMs)
    take(message('bob1', 'out'), other)
    take(message('dan1', 'out'), other)
    expect([all.leaving.size, all.staying.size]).toEqual([0, 0])
  })

  it('[PS4] the next owner has the same members; who had gone has the time of grace anew', () => {
    const { take, next } = setup()
    take(message('ann1', 'in', { state: '{"status":"busy"}' }))
    take(message('bob1', 'in'))
    take(message('bob1', 'gone'))
    const taken = next()
    expect(listMembers(taken, room)).toMatchObject({
      count: 2,
      all: [{ user: 'ann', state: '{"status":"busy"}' }, { user: 'bob' }],
    })
    expect(expireMembers(taken, 7)).toEqual([])
    expect(expireMembers(taken, 7 + presenceGraceMs)).toMatchObject([{ connection: 'bob1', on: false }])
    expect(changesOf(taken, 1)).toEqual(['-bob'])
  })

  it('[PS4] of another incarnation they have the time of grace to be told of again, and are never said to have left before', () => {
    const { take, next } = setup()
    take(message('ann1', 'in'))
    take(message('bob1', 'in'))
    const taken = next(4)
    expireMembers(taken, 7)
    const rows = takeMember(taken, message('ann1', 'in'), { now: 8, wallMs: 8, boot: edge, inc: 4 })
    expect(rows.map(({ on, inc }) => [on, inc])).toEqual([
      [false, 3],
      [true, 4],
    ])
    expireMembers(taken, 7 + presenceGraceMs)
    expect(changesOf(taken, 9)).toEqual(['-bob'])
  })

  it('[PS5] others see what a user showed last on any device; on a new one it goes on with that', () => {
    const { take, told, at } = setup()
    take(message('ann1', 'in'))
    take(message('ann1', 'in', { state: '{"status":"busy"}' }))
    expect(told()).toEqual(['+ann {"status":"busy"}'])
    at.wallMs += 1
    take(message('ann2', 'in'), other)
    take(message('ann1', 'out'))
    expect(told()).toEqual([])
    take(message('ann2', 'in', { state: '{"status":"away"}' }), other)
    expect(told()).toEqual(['+ann {"status":"away"}'])
    take(message('ann2', 'in', { state: '{"status":"away"}' }), other)
    expect(told()).toEqual([])
  })

  it('[PS6] of more members than are listed only the number is told, once a second however many come', () => {
    const { take, all, at, wait } = setup()
    for (let i = 0; i <= maxListedMembers; i += 1) take(message(`c${i}`, 'in', { user: `u${i}` }))
    expect(takeChanges(all, at.wallMs)).toEqual([])
    take(message('more', 'in'))
    expect(takeChanges(all, at.wallMs)).toEqual([])
    wait(1_000)
    const count = maxListedMembers + 2
    const record = { type: 'presence', room, nonce: '', count, all: null, in: [], out: [] }
    expect(takeChanges(all, at.wallMs)).toEqual([record])
    wait(1_000)
    expect(takeChanges(all, at.wallMs)).toEqual([])
    expect(listMembers(all, room)).toEqual({ count, all: null })
  })

  it('[PS6] when they are few enough again before the number was told, all are told: those who came above it were not', () => {
    const { take, all, at, wait } = setup()
    for (let i = 0; i < maxListedMembers; i += 1) take(message(`c${i}`, 'in', { user: `u${i}` }))
    takeChanges(all, at.wallMs)
    take(message('late', 'in'))
    expect(takeChanges(all, at.wallMs)).toEqual([])
    take(message('c0', 'out'))
    const [record] = takeChanges(all, at.wallMs)
    expect(record?.out).toEqual([{ user: 'u0', lastMs: at.wallMs }])
    expect(record?.all).toHaveLength(maxListedMembers)
    expect(record?.all?.at(-1)?.user).toBe('lat')
    wait(1_000)
    expect(takeChanges(all, at.wallMs)).toEqual([])
  })

  it('[PS22] a connection costs the same however many its user has: a room is not held up by one of them', () => {
    const { all, at } = setup()
    const count = 20_000
    const tellAll = (change: MemberChange, state: string): void => {
      for (let i = 0; i < count; i += 1) {
        takeMember(all, message(`c${i}`, change, { user: 'anybody', state }), { ...at, boot: edge, inc: 3 })
        if (i % 100 === 0) takeChanges(all, at.wallMs)
      }
    }
    const from = performance.now()
    tellAll('in', '')
    tellAll('in', '{"status":"busy"}')
    expect(listMembers(all, room).all).toMatchObject([{ connections: count, state: '{"status":"busy"}' }])
    tellAll('gone', '')
    expect(listMembers(all, room).all).toMatchObject([{ connections: 0 }])
    tellAll('out', '')
    expect(all.rooms.size).toBe(0)
    // It was five minutes, of which a test should have no part.
    expect(performance.now() - from).toBeLessThan(8_000)
  })

  it('[PS7] whatever is told in whatever order: what was told adds up to who is there, and the rows to what the next owner has', () => {
    const step = fc.record({
      connection: fc.constantFrom('ann1', 'ann2', 'bob1', 'bob2', 'cat1'),
      change: fc.constantFrom<MemberChange>('in', 'in', 'gone', 'out'),
      state: fc.constantFrom('', '', '{"status":"busy"}', '{"status":"away"}'),
      boot: fc.constantFrom(edge, other),
      wait: fc.constantFrom(0, 0, 1, 4_000, 11_000),
      lost: fc.constantFrom('', '', '', edge),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const { take, told, wait, lose, users, next, all } = setup()
        const known = new Set<string>()
        for (const { connection, change, state, boot, wait: ms, lost } of steps) {
          take(message(connection, change, { state }), boot)
          if (lost !== '') lose(lost)
          wait(ms)
          for (const text of told()) {
            const user = text.slice(1, 4)
            if (text.startsWith('+')) known.add(user)
            else expect(known.delete(user)).toBe(true)
          }
          expect([...known].sort()).toEqual([...(users() ?? [])].sort())
        }
        const states = (each: Members): unknown =>
          listMembers(each, room)
            .all?.map(({ user, state }) => `${user}${state}`)
            .sort()
        expect(states(next())).toEqual(states(all))
      }),
    )
  })
})

describe('messages about members', () => {
  const head = { boot: edge, generation: 0, k: 1 }

  it('[PS8] come back as they were', () => {
    const messages = [
      message('c.1', 'in', { user: 'ann "the\u001fone"', state: '{"status":"busy"}' }),
      message('c.2', 'gone'),
      { type: 'query', room, nonce: '7' } as const,
    ]
    expect(decodeInput(encodeInput(head, messages))?.messages).toEqual(messages)
    const user = { user: 'ann\u001e', sinceMs: 5, state: '', connections: 2 }
    const records = [
      { type: 'presence', room, nonce: '', count: 1, in: [user], out: [{ user: 'bob', lastMs: 9 }] },
      { type: 'presence', room, nonce: '7', count: 1, all: [user], in: [], out: [] },
      { type: 'presence', room, nonce: '7', count: 9_000, all: null, in: [], out: [] },
    ] as const
    for (const record of records) expect(decodeOut(encodeOut(record))).toEqual([record])
    expect(decodeOut('p\u001fchat:acme:1\u001f\u001fnot JSON')).toEqual([])
  })

  it('[PS9] are for a worker that does not know them an ephemeral event of a room that nobody has', () => {
    // What versions before members read: kind, room, options, tail.
    const [, record = ''] = encodeInput(head, [message('c.1', 'in')]).split('\u001f\u001e')
    const [kind, name = '', ...rest] = record.split('\u001f')
    expect([kind, name.includes(':'), rest.length]).toEqual(['E', false, 2])
    // And this one reads what a version to come says likewise.
    const later = { type: 'ephemeral', room: '!later', options: '["x"]', tail: '{}' } as const
    expect(decodeInput(encodeInput(head, [later]))?.messages).toEqual([later])
    for (const options of ['', '{}', '["a","b"]', '[1,2,3,4]', '["a","b","c","never"]'])
      expect(decodeInput(encodeInput(head, [{ ...later, room: '!member', options }]))?.messages).toHaveLength(1)
  })

  it('[PS10] rows of members are for a version before them connections of nobody', () => {
    const row = formatInterest({
      ...{ room, boot: edge, connection: 'c.1', inc: 3 },
      member: { user: 'ann', sinceMs: 5, state: '', stateMs: 0, gone: false },
    })
    expect(row.split('\u001f')[0]).toBe('!member')
    expect(parseInterest(row)).toMatchObject({ room, boot: edge, connection: 'c.1', member: { user: 'ann' } })
  })
})
