import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { closeCodes, reconnectPolicy } from './codes.ts'
import { formatSlotValue, parseSlotValue, slotPrefix } from './commit.ts'
import {
  decodeInput,
  decodeLog,
  decodeOut,
  encodeInput,
  encodeLog,
  encodeLogMessage,
  encodeOut,
  lengthOf,
  publishOf,
  RS,
  US,
} from './entry.ts'
import { decodeWholeLog } from './whole-log.ts'
import type { InputMessage, LogEntry, OutRecord } from './entry.ts'
import { clientFrame, PROTOCOL_VERSION, serverFrame } from './frames.ts'
import { z } from 'zod'

/** Names and JSON text: anything but control characters, which the edge refuses or escapes. */
const text = fc
  .string({ unit: 'binary', maxLength: 40 })
  .map((raw) => raw.replaceAll(/[\u0000-\u001f\ud800-\udfff]/g, ''))
const count = fc.nat(2 ** 40)
const boot = fc.constantFrom('edge-1#a', 'ingest.2#zz9')
const message: fc.Arbitrary<InputMessage> = fc.oneof(
  fc.record({ type: fc.constant('publish' as const), room: text, key: text, sender: text, options: text, tail: text }),
  fc.record({ type: fc.constant('ephemeral' as const), room: text, options: text, tail: text }),
  fc.record({ type: fc.constant('interest' as const), room: text, on: fc.boolean(), nonce: text }),
  fc.record({
    type: fc.constant('connection' as const),
    room: text,
    connection: text,
    change: fc.constantFrom('open' as const, 'kept' as const, 'closed' as const),
    replaces: text,
    limit: fc.integer({ min: 1, max: 100_000 }),
  }),
)
const event = fc.record({ options: text, tail: text })
const result = fc.oneof(
  fc.record({ ok: fc.constant(true as const), epoch: fc.constantFrom('1.2', '12.0'), seq: count }),
  fc.record({ ok: fc.constant(false as const), code: fc.constant('OVERLOADED'), retryAfterMs: fc.nat() }),
)
const record: fc.Arbitrary<Exclude<OutRecord, { type: 'events' }>> = fc.oneof(
  fc.record({ type: fc.constant('boot' as const) }),
  fc.record({ type: fc.constant('ephemeral' as const), room: text, event }),
  fc.record({
    type: fc.constant('ack' as const),
    slot: fc.nat(),
    generation: fc.nat(),
    k: count,
    results: fc.array(result, { maxLength: 5 }),
  }),
  fc.record({ type: fc.constant('interest' as const), room: text, epoch: text, head: count, nonce: text }),
  fc.record({
    type: fc.constant('connection' as const),
    room: text,
    connection: text,
    outcome: fc.constantFrom('taken' as const, 'refused' as const, 'replaced' as const),
  }),
  fc.record({ type: fc.constant('rewind' as const), slot: fc.nat(), generation: fc.nat(), from: count }),
  fc.record({ type: fc.constant('reset' as const), slot: fc.nat(), inc: count }),
  fc.record({ type: fc.constant('head' as const), room: text, epoch: text, head: count }),
)

const emptyInput = encodeInput({ boot: 'e#1', generation: 0, k: 1 }, [])

describe('entries of the streams', () => {
  it('[EN1] an input entry is read as it was written', () => {
    fc.assert(
      fc.property(boot, fc.nat(), count, fc.array(message, { maxLength: 6 }), (from, generation, k, messages) => {
        const body = encodeInput({ boot: from, generation, k }, messages)
        const entry = decodeInput(body)
        const read = entry?.messages.map((record) => (record.type === 'publish' ? publishOf(record) : record))
        expect({ ...entry, messages: read }).toEqual({ boot: from, generation, k, messages })
      }),
    )
  })

  it('[EN1] a message takes as many characters in an entry as is said', () => {
    fc.assert(
      fc.property(message, (each) => {
        const with1 = encodeInput({ boot: 'e#1', generation: 0, k: 1 }, [each])
        expect(with1.length - emptyInput.length).toBe(lengthOf(each))
      }),
    )
  })

  it('[EN1] outbox records are read as they were written, several to an entry', () => {
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 6 }), (records) => {
        expect(decodeOut(records.map(encodeOut).join(RS))).toEqual(records)
      }),
    )
  })

  it('[EN1] a log entry in an outbox is read as the events of its room', () => {
    const line = fc.record({ sender: text.map((name) => `u${name}`), key: text, options: text, tail: text })
    const lines = fc.array(line, { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(text, count, lines, (room, first, messages) => {
        const body = encodeLog(room, { inc: 7, tag: 3, first, timeMs: 0 }, messages.map(encodeLogMessage))
        const events = messages.map(({ options, tail }) => ({ options, tail }))
        const expected = [{ type: 'boot' }, { type: 'events', room, epoch: '7.3', first, timeMs: 0, events }]
        expect(decodeOut(`b${RS}${body}`)).toEqual(expected)
      }),
    )
    // Cut short in any place it is still read to an end.
    const whole = encodeLog('public:a', { inc: 7, tag: 3, first: 1, timeMs: 0 }, ['u\u001fk\u001f\u001ft'])
    for (let end = 0; end <= whole.length; end++) expect(decodeOut(whole.slice(0, end)).length).toBeLessThanOrEqual(1)
  })

  it('[EN1] a log entry is read as it was written', () => {
    const line = fc.record({ sender: text, key: text, options: text, tail: text })
    fc.assert(
      fc.property(
        fc.record({
          inc: count,
          tag: count,
          first: count,
          timeMs: count,
          messages: fc.array(line, { minLength: 1, maxLength: 5 }),
        }),
        (entry: LogEntry) => {
          expect(decodeLog(encodeLog('public:a', entry, entry.messages.map(encodeLogMessage)))).toEqual(entry)
        },
      ),
    )
  })

  it('[EN2] what is not of a known form is not read', () => {
    const known = emptyInput
    expect(decodeInput(known)).toBeDefined()
    for (const body of [
      '',
      '2' + known.slice(1),
      known.replace('e#1', ''),
      known + RS + 'Z',
      known + 'x',
      known.slice(0, -1) + '-1',
    ]) {
      expect(decodeInput(body)).toBeUndefined()
    }
    const log = encodeLog('public:a', { inc: 1, tag: 1, first: 1, timeMs: 0 }, ['u\u001fk\u001f\u001ft'])
    expect(decodeLog(log)).toBeDefined()
    for (const body of [
      '',
      '2' + log.slice(1),
      log.slice(0, -1) + '\u001f',
      log.replace('\u001f1\u001f1\u001f1', '\u001f1\u001fx\u001f1'),
    ])
      expect(decodeLog(body)).toBeUndefined()
    expect(decodeOut(`?${RS}b${RS}new\u001fkind`)).toEqual([{ type: 'boot' }])
  })

  it.each([
    ['P', ['r', 's', 'k', 'o', 't']],
    ['E', ['r', 'o', 't']],
    ['I', ['r', '+', 'n']],
  ])('[EN2] a record %s with a field more or less, or of an unknown kind, is not read', (kind, fields) => {
    const read = (...record: string[]) => decodeInput([emptyInput, record.join(US)].join(US + RS))
    expect(read(kind, ...fields)?.messages).toHaveLength(1)
    for (let left = 0; left < fields.length; left += 1) expect(read(kind, ...fields.slice(0, left))).toBeUndefined()
    expect(read(kind, ...fields, 'x')).toBeUndefined()
    expect(read('X', ...fields)).toBeUndefined()
    // All fields may be empty.
    expect(read(kind, ...fields.map(() => ''))?.messages).toHaveLength(1)
  })

  it('[EN2] the header of an entry has a known version, a boot, a generation and a number from 0 on, and nothing else', () => {
    const read = (...header: string[]) => decodeInput(header.join(US))
    expect(read('1', 'e#1', '3', '0')).toEqual({ boot: 'e#1', generation: 3, k: 0, messages: [] })
    for (const header of [
      ['2', 'e#1', '3', '0'],
      ['1', '', '3', '0'],
      ['1'],
      ['1', 'e#1', '3', '0', 'x'],
      ['1', 'e#1', '1.5', '0'],
      ['1', 'e#1', '3', '1.5'],
      ['1', 'e#1', '3', '-1'],
    ])
      expect(read(...header)).toBeUndefined()
  })

  it('[EN2] a log of which an entry cannot be read, or is not what its id says, is not read at all', () => {
    const entry = (first: number, messages: number) =>
      encodeLog(
        'public:a',
        { inc: 1, tag: 1, first, timeMs: 0 },
        Array.from({ length: messages }, () => ['u', 'k', '', 't'].join(US)),
      )
    const good = { id: '2-0', body: entry(1, 2) }
    expect(decodeWholeLog('public:a', [good, { id: '3-0', body: entry(3, 1) }]).map(({ first }) => first)).toEqual([
      1, 3,
    ])
    for (const bad of [
      { id: '4-0', body: entry(3, 1) },
      { id: '3-0', body: `2${entry(3, 1).slice(1)}` },
    ]) {
      const error = {
        code: 'UNREADABLE_LOG',
        name: 'UnreadableLogError',
        message: expect.stringContaining(bad.id) as string,
      }
      expect(() => decodeWholeLog('public:a', [good, bad])).toThrow(expect.objectContaining(error))
    }
  })

  it('[EN2] what is told of a connection is read in full or not at all', () => {
    const input = (...fields: string[]) => decodeInput([emptyInput, ['C', ...fields].join(US)].join(US + RS))
    const message = { type: 'connection', room: 'user:a', connection: 'c1', change: 'kept', replaces: '', limit: 5 }
    expect(input('user:a', 'c1', 'kept', '', '5')?.messages).toEqual([message])
    for (const fields of [
      ['user:a', 'c1', 'left', '', '5'],
      ['user:a', 'c1', 'kept', '', '0'],
      ['user:a', 'c1', 'kept', '', '1.5'],
      ['user:a', 'c1', 'kept', '', 'x'],
      ['user:a', 'c1', 'kept', '', '5', ''],
      ['user:a', 'c1', 'kept', ''],
      ['user:a', 'c1', 'kept'],
      ['user:a', 'c1'],
      ['user:a'],
      [],
    ])
      expect(input(...fields)).toBeUndefined()
    const record = { type: 'connection', room: 'user:a', connection: 'c1', outcome: 'replaced' }
    const body = encodeOut({ ...record, type: 'connection', outcome: 'replaced' })
    expect(decodeOut(body)).toEqual([record])
    expect(decodeOut(body.replace('replaced', 'new'))).toEqual([])
  })

  it('[EN3] a slot value is read as it was written and begins with its prefix', () => {
    const value = {
      epoch: 3,
      owner: 'shard-1#a',
      n: 7,
      token: 't4',
      inc: 2,
      run: 'abc:def',
      cursor: '17-1',
      marks: new Map([['edge-1#b', { generation: 1, k: 9 }]]),
    }
    expect(parseSlotValue(formatSlotValue(value))).toEqual(value)
    expect(formatSlotValue(value).startsWith(slotPrefix(value))).toBe(true)
    const empty = { ...value, marks: new Map() }
    expect(parseSlotValue(formatSlotValue(empty))).toEqual(empty)
  })

  it('[EN4] the schemas of the frames are those of the protocol version', () => {
    const schemas = JSON.stringify([z.toJSONSchema(clientFrame), z.toJSONSchema(serverFrame)])
    let hash = 0x811c9dc5
    for (let i = 0; i < schemas.length; i++) hash = Math.imul(hash ^ schemas.charCodeAt(i), 0x01000193) >>> 0
    // A changed hash needs a new line in the history of frames.ts, and a new version when old peers cannot follow.
    expect({ version: PROTOCOL_VERSION, hash: hash.toString(16) }).toMatchInlineSnapshot(`
      {
        "hash": "b8460656",
        "version": 1,
      }
    `)
  })

  it('[EN5] the range of a close code is its reconnect policy', () => {
    const terminal = Object.values(closeCodes).filter(({ code }) => reconnectPolicy(code) === 'terminal')
    expect(terminal.map(({ code }) => code)).toEqual([1000, 4401, 4403, 4408, 4400])
    expect(reconnectPolicy(1006)).toBe('reconnect')
    expect(reconnectPolicy(4399)).toBe('reconnect')
    expect(reconnectPolicy(4500)).toBe('reconnect')
  })
})
