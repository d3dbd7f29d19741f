import { describe, expect, it } from 'vitest'
import { formatSlotValue, outText, parseSlotValue } from './commit.ts'
import { formatInterest } from './interest.ts'
import type { Interest, InterestChange } from './interest.ts'
import { consume } from './consume.ts'
import { decodeInput, decodeLog, decodeOut, encodeInput } from './entry.ts'
import type { InputMessage, OutRecord } from './entry.ts'
import { loadRoom } from './room-state.ts'
import { composeCommit, ownSlot } from './slot-state.ts'
import type { SlotState } from './slot-state.ts'

const edge = 'edge-1#a'
const other = 'edge-2#b'

function own(interest: readonly Interest[] = []): SlotState {
  const value = { epoch: 3, owner: 'shard-1#s', n: 10, token: 'c3', inc: 1, run: 'r1', cursor: '5-0', marks: new Map() }
  const state = ownSlot(7, formatSlotValue(value), interest)
  for (const room of ['public:a', 'public:b']) state.rooms.set(room, loadRoom(room, [], state.keys, 0))
  return state
}

const publish = (room: string, key: string): InputMessage => ({
  type: 'publish',
  room,
  key,
  sender: 'alice',
  options: '',
  tail: `"event":"e","data":"${key}"`,
})
const interest = (room: string, on = true): InputMessage => ({ type: 'interest', room, on, nonce: 'x' })

let ids = 0
function push(
  state: SlotState,
  head: { boot?: string; generation?: number; k: number },
  messages: InputMessage[],
): void {
  const body = encodeInput({ boot: head.boot ?? edge, generation: head.generation ?? 0, k: head.k }, messages)
  state.pending.push({ id: `${10 + ids++}-0`, body, entry: decodeInput(body) })
}

function run(
  state: SlotState,
  alive: (boot: string) => 'yes' | 'no' | 'ask' = () => 'yes',
  budget = { messages: 100, bytes: 1e6 },
) {
  const isListed = (boot: string): boolean => alive(boot) === 'yes'
  return consume(state, { now: 1, wallMs: 1_000, token: `t${ids++}`, alive, isListed, budget })
}

function said(commit: ReturnType<typeof run>['commit'], boot = edge): OutRecord[] {
  const out = commit?.outs.get(boot)
  return out === undefined || commit === undefined ? [] : decodeOut(outText(out, commit.logs))
}

/** Not what the slot says about locks with its first commit. */
const isOfBoot = ({ boot }: { readonly boot: string }): boolean => boot !== ''

describe('consuming input', () => {
  it('[LN1] takes k = last + 1, answers a repetition with the last acknowledgement and a gap with a rewind', () => {
    const state = own()
    push(state, { k: 1 }, [publish('public:a', 'm1')])
    push(state, { k: 1 }, [publish('public:a', 'm1')])
    push(state, { k: 3 }, [publish('public:a', 'm3')])
    push(state, { k: 4 }, [publish('public:a', 'm4')])
    const { commit } = run(state)
    expect(said(commit)).toEqual([
      { type: 'ack', slot: 7, generation: 0, k: 1, results: [{ ok: true, epoch: '1.11', seq: 1 }] },
      { type: 'ack', slot: 7, generation: 0, k: 1, results: [] },
      { type: 'rewind', slot: 7, generation: 0, from: 2 },
    ])
    expect(commit?.logs.map((log) => log.lastSeq)).toEqual([1])
    expect(state.marks.get(edge)).toEqual({ generation: 0, k: 1 })
  })

  it('[LN2] a new generation begins with 1 and ends the older one', () => {
    const state = own()
    state.marks.set(edge, { generation: 0, k: 9 })
    push(state, { generation: 1, k: 2 }, [publish('public:a', 'x')])
    push(state, { generation: 1, k: 1 }, [publish('public:a', 'y')])
    push(state, { generation: 0, k: 10 }, [publish('public:a', 'z')])
    const { commit } = run(state)
    expect(said(commit).map((record) => record.type)).toEqual(['rewind', 'ack'])
    expect(state.marks.get(edge)).toEqual({ generation: 1, k: 1 })
    expect(state.rooms.get('public:a')?.head).toBe(1)
  })

  it('[LN3] an unknown boot waits for the list of members and is then answered with a rewind', () => {
    const state = own()
    push(state, { k: 1 }, [publish('public:a', 'x')])
    expect(run(state, () => 'ask').commit).toBeUndefined()
    expect(state.pending).toHaveLength(1)
    const { commit } = run(state, () => 'no')
    expect(said(commit)).toEqual([{ type: 'rewind', slot: 7, generation: 0, from: 1 }])
    expect(state.rooms.get('public:a')?.head).toBe(0)
    expect(state.marks.size).toBe(0)
  })

  it('[LN4] a boot gets every event after the head that its declaration is answered with', () => {
    const state = own([{ room: 'public:a', boot: edge }])
    push(state, { k: 1 }, [publish('public:a', 'm1'), publish('public:a', 'm2')])
    push(state, { boot: other, k: 1 }, [interest('public:a')])
    push(state, { k: 2 }, [publish('public:a', 'm3')])
    const { commit } = run(state)
    expect(said(commit, other)).toEqual([
      { type: 'interest', room: 'public:a', epoch: '1.11', head: 0, nonce: 'x' },
      { type: 'ack', slot: 7, generation: 0, k: 1, results: [] },
      {
        type: 'events',
        room: 'public:a',
        epoch: '1.11',
        first: 1,
        timeMs: 1_000,
        events: ['m1', 'm2', 'm3'].map((key) => ({ options: '', tail: `"event":"e","data":"${key}"` })),
      },
    ])
    expect(said(commit).filter((record) => record.type === 'events')).toEqual(said(commit, other).slice(2))
  })

  it('[LN5] one commit holds log, deliveries, acknowledgements, interest, marks and cursor', () => {
    const state = own([{ room: 'public:a', boot: edge }])
    push(state, { k: 1 }, [publish('public:a', 'm1'), publish('public:b', 'm1'), interest('public:b')])
    const last = state.pending[0]?.id
    run(state)
    const written = composeCommit(state, 0)
    expect(written.expect).toBe('3|shard-1#s|10|c3|')
    expect(parseSlotValue(written.value)).toMatchObject({
      epoch: 3,
      n: 11,
      inc: 1,
      run: 'r1',
      cursor: last,
      marks: new Map([[edge, { generation: 0, k: 1 }]]),
    })
    expect(written.logs.map((log) => [log.room, decodeLog(log.body)?.messages.map((m) => m.key)])).toEqual([
      ['public:a', ['m1']],
      ['public:b', ['m1']],
    ])
    expect(written.interest.filter(isOfBoot)).toEqual([{ room: 'public:b', boot: edge, on: true }])
    const out = written.outs.get(edge) ?? { records: '', logs: [] }
    expect(decodeOut(outText(out, written.logs)).map((record) => record.type)).toEqual([
      'interest',
      'ack',
      'events',
      'events',
    ])
  })

  it('[LN7] an entry that cannot be decoded is put aside and the slot goes on behind it', () => {
    const state = own()
    state.pending.push({ id: '6-0', body: 'nonsense', entry: decodeInput('nonsense') })
    push(state, { k: 1 }, [publish('public:a', 'm1')])
    const { commit, poison } = run(state)
    expect(poison).toEqual([{ id: '6-0', body: 'nonsense' }])
    expect(commit?.logs).toHaveLength(1)
  })

  it('[LN13] an entry waits for its room, and those behind it wait too', () => {
    const state = own()
    push(state, { k: 1 }, [publish('public:a', 'm1')])
    push(state, { k: 2 }, [publish('public:late', 'm2')])
    state.loading.add('public:late')
    push(state, { k: 3 }, [publish('public:a', 'm3')])
    const { commit } = run(state)
    expect(commit?.logs.map((log) => log.lastSeq)).toEqual([1])
    expect(state.pending).toHaveLength(2)
    state.loading.delete('public:late')
    state.rooms.set('public:late', loadRoom('public:late', [], state.keys, 0))
    expect(run(state).commit?.logs.map((log) => log.room)).toEqual(['public:late', 'public:a'])
  })

  it('[LN4] who is interested no more is told nothing, and a room without anybody is forgotten', () => {
    const state = own([
      { room: 'public:a', boot: edge },
      { room: 'public:a', boot: other },
    ])
    push(state, { k: 1 }, [interest('public:a', false), publish('public:a', 'm1')])
    const first = run(state).commit
    expect(said(first).map(({ type }) => type)).toEqual(['ack'])
    expect(said(first, other).map(({ type }) => type)).toEqual(['events'])
    expect(first?.interest.filter(isOfBoot)).toEqual([{ room: 'public:a', boot: edge, on: false }])
    expect([...(state.interest.get('public:a') ?? [])]).toEqual([other])
    push(state, { boot: other, k: 1 }, [interest('public:a', false)])
    expect(said(run(state).commit, other).map(({ type }) => type)).toEqual(['ack'])
    expect(state.interest.size).toBe(0)
  })

  it('[LN1] a message that is repeated under another number is answered with its place, and is there once', () => {
    const state = own()
    push(state, { k: 1 }, [publish('public:a', 'm1'), publish('public:a', 'm2')])
    push(state, { k: 2 }, [publish('public:a', 'm1')])
    const { commit } = run(state)
    const ok = { ok: true, epoch: '1.11' }
    expect(said(commit)).toMatchObject([
      {
        k: 1,
        results: [
          { ...ok, seq: 1 },
          { ...ok, seq: 2 },
        ],
      },
      { k: 2, results: [{ ...ok, seq: 1 }] },
    ])
    expect(commit?.logs).toMatchObject([{ room: 'public:a', lastSeq: 2 }])
  })

  it('[LN31] an ephemeral event is given to whom its room interests, without a mark or an acknowledgement', () => {
    const state = own([{ room: 'public:a', boot: other }])
    const ephemeral = (room: string): InputMessage => ({ type: 'ephemeral', room, options: 'o', tail: 't' })
    // Rooms need not be loaded for it.
    state.loading.add('public:c')
    push(state, { k: 0 }, [ephemeral('public:a'), ephemeral('public:c')])
    const { commit } = run(state)
    expect(said(commit, other)).toEqual([{ type: 'ephemeral', room: 'public:a', event: { options: 'o', tail: 't' } }])
    expect(said(commit)).toEqual([])
    expect([state.marks.size, commit?.logs]).toEqual([0, []])
    // Of a boot that is gone nothing is passed on, and nothing is answered.
    push(state, { k: 0 }, [ephemeral('public:a')])
    expect(run(state, () => 'no').commit?.outs.size).toBe(0)
  })

  it('[LN32] a digest tells once where the rooms that had events stood, to whom they interest', () => {
    const state = own([{ room: 'public:a', boot: other }])
    push(state, { k: 1 }, [publish('public:a', 'm1'), publish('public:b', 'm1')])
    run(state)
    expect([...state.active]).toEqual(['public:a'])
    state.digestDue = true
    push(state, { k: 2 }, [publish('public:a', 'm2')])
    const { commit } = run(state)
    expect(
      said(commit, other).map((each) => (each.type === 'head' ? [each.room, each.epoch, each.head] : each.type)),
    ).toEqual([['public:a', '1.11', 1], 'events'])
    expect(said(commit).map(({ type }) => type)).toEqual(['ack'])
    // It had an event in this commit too.
    state.digestDue = true
    expect(said(run(state).commit, other)).toEqual([{ type: 'head', room: 'public:a', epoch: '1.11', head: 2 }])
    state.digestDue = true
    expect(run(state).commit).toBeUndefined()
    expect(state.digestDue).toBe(false)
  })

  it('[LN33] a batch ends with its budget of messages or of bytes, and the rest waits in order', () => {
    for (const budget of [
      { messages: 2, bytes: 1e6 },
      { messages: 100, bytes: 100 },
    ]) {
      const state = own()
      for (const k of [1, 2, 3]) push(state, { k }, [publish('public:a', `m${k}`)])
      const bodies = state.pending.map(({ body }) => body.length)
      state.pendingBytes = bodies.reduce((sum, bytes) => sum + bytes, 0)
      const { commit } = run(state, undefined, budget)
      expect([commit?.logs[0]?.lastSeq, state.pending.length, state.pendingBytes]).toEqual([2, 1, bodies[2]])
      expect([budget.messages, budget.bytes].some((left) => left <= 0)).toBe(true)
      expect(run(state).commit?.logs[0]?.lastSeq).toBe(3)
      expect(state.pendingBytes).toBe(0)
    }
  })

  it('[RM4] [LN27] a refusal is told in the acknowledgement, changes nothing, and the room counts as used', () => {
    const state = own()
    const room = state.rooms.get('public:a')
    if (room !== undefined) room.head = 100_000
    push(state, { k: 1 }, [publish('public:a', 'm1')])
    const { commit } = run(state)
    expect(said(commit)).toEqual([
      { type: 'ack', slot: 7, generation: 0, k: 1, results: [{ ok: false, code: 'OVERLOADED', retryAfterMs: 1_000 }] },
    ])
    expect(commit?.logs).toEqual([])
    expect(room?.touchedAt).toBe(1)
  })

  it('[UC7] a connection is counted and its edge told in one commit, and needs no room loaded; the next owner knows it', () => {
    const state = own()
    const connection = (id: string, replaces = ''): InputMessage => ({
      ...{ type: 'connection', room: 'user:alice', connection: id, change: 'open', replaces, limit: 1 },
    })
    state.loading.add('public:c')
    push(state, { k: 1 }, [connection('edge-1.a.1')])
    push(state, { boot: other, k: 1 }, [connection('edge-2.b.1'), connection('edge-2.b.2', 'edge-1.a.1')])
    const { commit } = run(state)
    const told = (boot: string) =>
      said(commit, boot).flatMap((each) => (each.type === 'connection' ? `${each.connection} ${each.outcome}` : []))
    expect(told(edge)).toEqual(['edge-1.a.1 taken', 'edge-1.a.1 replaced'])
    expect(told(other)).toEqual(['edge-2.b.1 refused', 'edge-2.b.2 taken'])
    const kept = new Map<string, InterestChange>()
    for (const row of commit?.interest ?? []) kept.set(formatInterest(row), row)
    const next = own([...kept.values()].filter(({ on }) => on))
    expect(next.connections).toEqual(
      new Map([['user:alice', new Map([['edge-2.b.2', { boot: other, after: 'edge-1.a.1', inc: 1 }]])]]),
    )
    expect(next.interest.size).toBe(0)
  })
})
