import { describe, expect, it } from 'vitest'
import { encodeInput } from './entry.ts'
import type { InputMessage } from './entry.ts'
import { roomLimits } from './limits.ts'
import { eventLogLimits, eventLogs, isEventLog, maxEventLogChars, userMessage, vacatedAfterMs } from './outgoing.ts'
import { parsePolicy } from './policy-file.ts'
import { parseRoomName } from './room-name.ts'
import { slotOf } from './slot.ts'
import { edge, rooms, startLane } from './testing/lane-bench.ts'

type Bench = ReturnType<typeof startLane>
const logs = eventLogs(2)
const all = ['room.occupied', 'room.vacated', 'user.message', 'connection.opened']
const [roomA = '', roomB = ''] = rooms

function policy(outgoing?: object) {
  const file = { version: 1, others: { join: 'everyone' }, ...(outgoing === undefined ? {} : { outgoing }) }
  const parsed = parsePolicy(file)
  if (!parsed.ok) throw new Error(parsed.problems.join())
  return parsed.policy
}

function start(outgoing: object | null = { events: all }): Bench & { say: typeof say; told: typeof told } {
  const bench = startLane()
  bench.step({ type: 'policy', policy: policy(outgoing ?? undefined) })
  const ks = new Map<string, number>()
  /** What a boot puts into the input of slot 0. */
  function say(boot: string, ...messages: InputMessage[]): void {
    const k = (ks.get(boot) ?? 0) + 1
    ks.set(boot, k)
    bench.store.append(0, encodeInput({ boot, generation: 0, k }, messages), 1_000)
    bench.readAll()
  }
  /** What the slot's log of events has. */
  const told = (slot = 0): { event: string; data: Record<string, unknown> }[] =>
    bench.store
      .roomRange(logs[slot] ?? '', 0, 1_000)
      .flatMap(({ messages }) => messages.map(({ tail }) => JSON.parse(`{${tail}}`) as ReturnType<typeof told>[number]))
  return { ...bench, say, told }
}

const interest = (room: string, on = true): InputMessage => ({ type: 'interest', room, on, nonce: '' })
const message = (room: string, key: string, meta: object): InputMessage => ({
  ...{ type: 'publish', room, key, sender: 'alice', options: '' },
  tail: `"event":"e","data":{"text":"\\"meta\\":{"},"meta":${JSON.stringify(meta)}`,
})
const byClient = { userId: 'alice', timestamp: 't', connectionId: 'edge-1.a.7' }

/** Time goes on, second by second. */
function pass(bench: Bench, ms: number): void {
  for (let t = 0; t < ms; t += 1_000) {
    bench.clock.now += 1_000
    bench.step({ type: 'tick' })
  }
}
/** What the store keeps of who is interested in rooms. */
const rowsOf = ({ store }: Bench) => store.interest(0).filter(({ room }) => room !== '')
const kinds = (bench: ReturnType<typeof start>): string[] => bench.told().map(({ event }) => event)

describe('names', () => {
  it('[OE1] each slot has a log of events of its own, in the slot, under a name that no client can use; always the same', () => {
    for (const slots of [1, 2, 128]) {
      const names = eventLogs(slots)
      expect(names.map((name) => slotOf(name, slots))).toEqual(Array.from({ length: slots }, (_, slot) => slot))
      expect(new Set(names).size).toBe(slots)
      expect(names.every((name) => isEventLog(name) && !parseRoomName(name).ok)).toBe(true)
    }
    expect(eventLogs(128).slice(0, 4)).toMatchInlineSnapshot(`
      [
        "$events:6u",
        "$events:1d",
        "$events:1b",
        "$events:1h",
      ]
    `)
  })
})

describe('what a worker tells', () => {
  it('[OE2] without the policy nothing is loaded, written or marked', () => {
    for (const bench of [start(null), start({ events: ['room.vacated'], types: ['deal'] })]) {
      bench.say(edge, interest(roomA), message(roomA, 'm1', byClient))
      pass(bench, 2_000)
      expect(bench.told()).toEqual([])
      expect(rowsOf(bench)).toEqual([{ room: roomA, boot: edge }])
    }
    expect(start(null).lane.slots.get(0)?.rooms.size).toBe(0)
  })

  it('[OE3] a message of a client is told in its own commit, once, with its position; one of a service is not', () => {
    const bench = start()
    bench.held.add('commit')
    bench.say(
      edge,
      message(roomA, 'm1', byClient),
      message(roomA, 'm1', byClient),
      message(roomA, 'm2', { userId: 'key:crm' }),
    )
    const [effect] = bench.waiting
    const written = effect?.type === 'commit' ? effect.commits.flatMap((each) => each.logs.map(({ room }) => room)) : []
    expect(written).toEqual([roomA, logs[0]])
    bench.held.clear()
    if (effect !== undefined) bench.execute(effect)
    const [first] = bench.store.roomRange(roomA, 0, 1)
    expect(bench.told()).toEqual([
      {
        event: 'user.message',
        data: {
          room: roomA,
          position: { epoch: `${first?.inc}.${first?.tag}`, seq: 1 },
          event: 'e',
          data: { text: '"meta":{' },
          meta: byClient,
        },
      },
    ])
  })

  it('[OE3] only what has the meta of an edge is a message of a client', () => {
    const at = { epoch: '1.1', seq: 1 }
    expect(userMessage('public:a', at, '"event":"e","data":1')).toBeUndefined()
    const fake = JSON.stringify({ text: '"meta":{"connectionId":"x"}', connectionId: 'x' })
    expect(userMessage('public:a', at, `"event":"e","data":${fake},"meta":{"userId":"key:a"}`)).toBeUndefined()
  })

  it('[OE4] a room is occupied with the first boot, and vacated 5 s after the last one left; another edge in between is nothing', () => {
    const bench = start()
    bench.say(edge, interest(roomA))
    expect(bench.told()).toEqual([{ event: 'room.occupied', data: { room: roomA } }])
    bench.say(edge, interest(roomA, false))
    pass(bench, vacatedAfterMs - 1_000)
    bench.say(edge, interest(roomA))
    pass(bench, vacatedAfterMs * 2)
    expect(kinds(bench)).toEqual(['room.occupied'])
    bench.say(edge, interest(roomA, false))
    pass(bench, vacatedAfterMs - 1_000)
    expect(kinds(bench)).toEqual(['room.occupied'])
    pass(bench, 1_000)
    expect(bench.told().slice(1)).toEqual([{ event: 'room.vacated', data: { room: roomA } }])
    expect(rowsOf(bench)).toEqual([])
  })

  it('[OE4] the interest of a boot that is gone ends like any other; of an edge that told of connections it is told', () => {
    const bench = start()
    const room = ['$edge:e2#b', '$edge:e3#b', '$edge:e4#b', '$edge:e5#b'].find((name) => slotOf(name, 2) === 0) ?? ''
    const boot = room.slice('$edge:'.length)
    bench.step({ type: 'members', alive: new Set([edge, boot]) })
    bench.say(boot, interest(roomA), interest(room))
    bench.step({ type: 'members', alive: new Set([edge]) })
    bench.step({ type: 'members', alive: new Set([edge]) })
    pass(bench, vacatedAfterMs)
    expect(bench.told()).toEqual([
      { event: 'room.occupied', data: { room: roomA } },
      { event: 'edge.lost', data: { edge: boot } },
      { event: 'room.vacated', data: { room: roomA } },
    ])
  })

  it('[OE4] an edge that withdraws its own room is not lost', () => {
    const bench = start()
    const room = ['$edge:e2#b', '$edge:e3#b', '$edge:e4#b', '$edge:e5#b'].find((name) => slotOf(name, 2) === 0) ?? ''
    bench.say(edge, interest(room), interest(room, false))
    pass(bench, vacatedAfterMs * 2)
    expect(bench.told()).toEqual([])
  })

  it('[OE16] members that come, leave, or show something else are told in the commit that changes them, as users', () => {
    const bench = start({ events: ['member.joined', 'member.left', 'presence.changed'] })
    const member = (connection: string, user: string, change: 'in' | 'out', state = ''): InputMessage => ({
      ...{ type: 'member', room: roomA, connection, user, change, state },
    })
    bench.say(
      edge,
      member('c1', 'ann', 'in', '{"status":"away"}'),
      member('c2', 'ann', 'in'),
      member('c3', 'ben', 'in'),
    )
    bench.say(edge, member('c1', 'ann', 'out'), member('c3', 'ben', 'in', '"\\"busy\\""'))
    bench.say(edge, member('c2', 'ann', 'out'), member('c4', 'cleo', 'in'), member('c4', 'cleo', 'out'))
    const room = { room: roomA }
    expect(bench.told()).toEqual([
      { event: 'member.joined', data: { ...room, userId: 'ann', state: { status: 'away' } } },
      { event: 'member.joined', data: { ...room, userId: 'ben', state: null } },
      { event: 'presence.changed', data: { ...room, userId: 'ben', state: '"busy"' } },
      { event: 'member.left', data: { ...room, userId: 'ann' } },
    ])
    const other = start({ events: ['member.left'], types: ['deal'] })
    other.say(edge, member('c1', 'ann', 'in'), member('c1', 'ann', 'out'))
    expect(other.told()).toEqual([])
  })

  it('[OE5] the next owner tells no room twice, and vacates those that were left while nobody owned the slot', () => {
    const bench = start()
    bench.say(edge, interest(roomA))
    bench.say(edge, interest(roomA, false))
    expect(rowsOf(bench)).toEqual([{ room: roomA, boot: '$told' }])
    // All that the worker knew is gone; what the store has is claimed anew.
    bench.lane.slots.clear()
    bench.plan([2, 2])
    expect(bench.lane.slots.get(0)?.told.occupied).toEqual(new Set([roomA]))
    pass(bench, vacatedAfterMs + 1_000)
    expect(kinds(bench)).toEqual(['room.occupied', 'room.vacated'])
  })

  it('[OE5] rooms that are occupied when the policy begins to ask are told then; when it ends the marks go', () => {
    const bench = start(null)
    bench.say(edge, interest(roomA))
    expect(bench.told()).toEqual([])
    bench.step({ type: 'policy', policy: policy({ events: all }) })
    bench.step({ type: 'tick' })
    expect(kinds(bench)).toEqual(['room.occupied'])
    bench.step({ type: 'policy', policy: policy({ events: ['user.message'] }) })
    bench.step({ type: 'tick' })
    expect(rowsOf(bench)).toEqual([{ room: roomA, boot: edge }])
    bench.step({ type: 'policy', policy: policy({ events: all }) })
    bench.step({ type: 'policy', policy: policy() })
    bench.step({ type: 'tick' })
    expect(rowsOf(bench)).toEqual([{ room: roomA, boot: edge }])
    expect(kinds(bench)).toEqual(['room.occupied', 'room.occupied'])
  })

  it('[OE6] a slot commits nothing before its log is loaded, and the next owner goes on where it ends', () => {
    const bench = start()
    bench.say(edge, message(roomA, 'm1', byClient))
    bench.lane.slots.clear()
    bench.held.add('loadRoom')
    bench.plan([2, 2])
    bench.say(edge, message(roomA, 'm2', byClient))
    expect(bench.waiting.map((effect) => effect.type === 'loadRoom' && effect.room)).toContain(logs[0])
    expect(bench.told()).toHaveLength(1)
    bench.held.clear()
    for (const effect of bench.waiting.splice(0)) bench.execute(effect)
    const lines = bench.store.roomRange(logs[0] ?? '', 0, 10)
    expect(lines.map(({ first, messages }) => [first, messages.length])).toEqual([
      [1, 1],
      [2, 1],
    ])
    // Those of the messages: events that a worker wrote have no keys to be remembered by.
    expect(bench.lane.slots.get(0)?.keys.size).toBe(2)
  })

  it('[OE7] the log keeps as many events as the policy says, and never refuses one', () => {
    const bench = start({ events: ['user.message'], retain: { events: 100 } })
    for (let i = 0; i < 50; i += 1)
      bench.say(edge, ...Array.from({ length: 10 }, (_, j) => message(roomA, `m${i}.${j}`, byClient)))
    const entries = bench.store.roomRange(logs[0] ?? '', 0, 1_000)
    const kept = entries.flatMap(({ messages }) => messages).length
    expect(kept).toBeGreaterThanOrEqual(100)
    expect(kept).toBeLessThan(100 + roomLimits.trimStep + 20)
    const limits = eventLogLimits(roomLimits, null)
    expect([limits.keepMs, limits.chars]).toEqual([0, maxEventLogChars])
    expect(bench.lane.slots.get(0)?.rooms.get(roomA)?.limits).toEqual(roomLimits)
  })

  it('[OE7] what a policy asks for is checked', () => {
    const fault = (outgoing: object): boolean => !parsePolicy({ version: 1, outgoing }).ok
    expect(fault({ events: [] })).toBe(true)
    expect(fault({ events: ['room.opened'] })).toBe(true)
    expect(fault({ events: ['room.occupied'], types: ['Deal'] })).toBe(true)
    expect(fault({ events: ['room.occupied'], retain: { events: 50_001 } })).toBe(true)
    expect(fault({ events: ['room.occupied'], retain: { age: '25h' } })).toBe(true)
    expect(policy({ events: ['room.occupied'] }).outgoing?.retain).toEqual({ events: 1_000, ageMs: 86_400_000 })
    expect(roomB).not.toBe(roomA)
  })
})
