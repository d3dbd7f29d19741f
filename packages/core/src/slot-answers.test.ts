import { expect, it } from 'vitest'
import type { AnswerRecord, AskMessage } from './ask-entry.ts'
import { formatSlotValue, outText } from './commit.ts'
import { consume } from './consume.ts'
import { decodeInput, decodeOut, encodeInput, encodeOut } from './entry.ts'
import type { InputMessage, OutRecord } from './entry.ts'
import { maxAnswerRooms } from './limits.ts'
import { ownSlot } from './slot-state.ts'
import type { SlotState } from './slot-state.ts'

const [edge, ingest] = ['edge-1#a', 'ingest-1#b']
const log = '$events:0'
const value = { epoch: 3, owner: 'shard-1#s', n: 10, token: 'c3', inc: 1, run: 'r1', cursor: '5-0', marks: new Map() }
const own = (): SlotState => ownSlot(7, formatSlotValue(value), [])
const head = { generation: 0, k: 1 }

/** What the boot is told by the commit that takes these messages. */
function taken(state: SlotState, boot: string, messages: readonly InputMessage[], now = 1): readonly OutRecord[] {
  const k = (state.marks.get(boot)?.k ?? 0) + 1
  const body = encodeInput({ ...head, boot, k }, messages)
  state.pending.push({ id: `${10 + now}-0`, body, entry: decodeInput(body) })
  const budget = { messages: 10_000, bytes: 1e7 }
  const { commit } = consume(state, {
    now,
    wallMs: 1_000 * now,
    token: `t${now}`,
    alive: () => 'yes',
    isListed: () => true,
    budget,
  })
  const out = commit?.outs.get(boot)
  return commit === undefined || out === undefined ? [] : decodeOut(outText(out, commit.logs))
}
const member = (room: string, connection: string, change: 'in' | 'gone' | 'out' = 'in'): InputMessage => ({
  ...{ type: 'member', room, connection, user: connection.slice(0, 3), change, state: '' },
})
const ask: AskMessage = { type: 'ask', room: log, nonce: '9', what: 'rooms', of: 'ann' }
const answerOf = (records: readonly OutRecord[]): AnswerRecord | undefined =>
  records.find((each): each is AnswerRecord => each.type === 'answer')

it('[QU1] a slot tells of which of its rooms a user is a member on any connection, in the commit that takes the question (RM4)', () => {
  const state = own()
  taken(state, edge, [member('chat:acme:1', 'ann1'), member('chat:acme:1', 'ann2'), member('chat:acme:2', 'bob1')], 2)
  taken(
    state,
    edge,
    [member('chat:acme:3', 'ann2'), member('chat:acme:2', 'ann1'), member('chat:acme:2', 'ann1', 'out')],
    3,
  )
  taken(state, edge, [member('chat:acme:3', 'ann2', 'gone')], 4)
  expect(answerOf(taken(state, ingest, [ask], 5))).toEqual({
    ...{ type: 'answer', room: log, nonce: '9', whole: true },
    rooms: [
      { room: 'chat:acme:1', sinceMs: 2_000, connections: 2 },
      { room: 'chat:acme:3', sinceMs: 3_000, connections: 0 },
    ],
  })
  expect(answerOf(taken(state, ingest, [{ ...ask, of: 'cat' }], 6))).toMatchObject({ whole: true, rooms: [] })
})

it('[QU2] of more rooms than one answer lists it says that there are more', () => {
  const state = own()
  const rooms = (count: number, from = 0): InputMessage[] =>
    Array.from({ length: count }, (_, i) => member(`chat:acme:${from + i}`, 'ann1'))
  taken(state, edge, rooms(maxAnswerRooms), 2)
  expect(answerOf(taken(state, ingest, [ask], 3))).toMatchObject({ whole: true })
  taken(state, edge, rooms(1, maxAnswerRooms), 4)
  const answer = answerOf(taken(state, ingest, [ask], 5))
  expect([answer?.whole, answer?.rooms.length]).toEqual([false, maxAnswerRooms])
})

it('[QU3] questions and answers come back as they were, and are for a version that does not know them said to nobody', () => {
  const boot = { ...head, boot: ingest }
  expect(decodeInput(encodeInput(boot, [ask]))?.messages).toEqual([ask])
  // What versions before read: kind, room, options, tail; nobody has such a room.
  const [, record = ''] = encodeInput(boot, [ask]).split('\u001f\u001e')
  const [kind, name = '', ...rest] = record.split('\u001f')
  expect([kind, name.includes(':'), rest.length]).toEqual(['E', false, 2])
  for (const options of ['', '["a","b"]', '["a","b","never","c"]', '[1,2,3,4]']) {
    const later = { type: 'ephemeral', room: '!ask', options, tail: '' } as const
    expect(decodeInput(encodeInput(boot, [later]))?.messages).toEqual([later])
    expect(taken(own(), ingest, [later])).toMatchObject([{ type: 'ack' }])
  }
  const rooms = [{ room: 'chat:acme:1', sinceMs: 5, connections: 2 }]
  const answer = { type: 'answer', room: log, nonce: '9', whole: true, rooms } as const
  expect(decodeOut(encodeOut(answer))).toEqual([answer])
  expect(decodeOut('q\u001f$events:0\u001f9\u001fnot JSON')).toEqual([])
})
