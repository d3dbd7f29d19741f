import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as ws from 'ws'
import { FrameReader, maxFragments } from './frame-reader.ts'
import type { FrameFault } from './frame-reader.ts'

// Its types leave the sender's encoder out.
const { Sender } = ws as unknown as {
  readonly Sender: { frame(data: Buffer, options: object): readonly Buffer[] }
}
interface Frame {
  readonly opcode: number
  readonly fin?: boolean
  readonly payload?: Buffer
}
/** As the library's client sends it, masked. */
const encode = ({ opcode, fin = true, payload = Buffer.alloc(0) }: Frame): Buffer =>
  Buffer.concat(Sender.frame(Buffer.from(payload), { fin, opcode, mask: true, readOnly: false, rsv1: false }))
const text = (value: string, more: Partial<Frame> = {}): Frame => ({ opcode: 1, payload: Buffer.from(value), ...more })

/** What a reader says of these bytes, in pieces. */
function read(
  bytes: Buffer,
  piece = bytes.length,
  maxBytes = 1_000,
): { seen: unknown[]; fault: FrameFault | undefined } {
  const reader = new FrameReader(maxBytes)
  const seen: unknown[] = []
  for (let at = 0; at < bytes.length; at += piece) {
    // A copy: the reader unmasks in place.
    const fault = reader.push(Buffer.from(bytes.subarray(at, at + piece)), {
      onMessage: (payload, isBinary) => seen.push(isBinary ? [...payload] : payload.toString()),
      onPing: (payload) => seen.push(`ping ${payload.toString()}`),
      onPong: () => seen.push('pong'),
      onClose: (code) => seen.push(code),
    })
    if (fault !== undefined) return { seen, fault }
  }
  return { seen, fault: undefined }
}

describe('frames of a client', () => {
  test('[EG41] whatever the library sends is read as it was sent, however the bytes are cut', () => {
    const message = fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ minLength: 120, maxLength: 400 }))
    const parts = fc.array(message, { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 6 }), fc.integer({ min: 1, max: 50 }), (messages, piece) => {
        const frames = messages.flatMap((fragments) => [
          ...fragments.map((part, i) => text(part, { opcode: i === 0 ? 1 : 0, fin: i === fragments.length - 1 })),
          { opcode: 9, payload: Buffer.from('p') },
        ])
        const { seen, fault } = read(Buffer.concat(frames.map(encode)), piece, 100_000)
        expect(fault).toBeUndefined()
        expect(seen).toEqual(messages.flatMap((fragments) => [fragments.join(''), 'ping p']))
      }),
    )
  })

  test('[EG41] every form of length, control frames between fragments, binary messages', () => {
    for (const length of [0, 1, 125, 126, 65_535, 65_536]) {
      const value = 'x'.repeat(length)
      expect(read(encode(text(value)), undefined, 65_536)).toEqual({ seen: [value], fault: undefined })
    }
    const frames = [
      text('a', { fin: false }),
      { opcode: 10 },
      text('b', { opcode: 0 }),
      { opcode: 2, payload: Buffer.from([255, 0]) },
    ]
    expect(read(Buffer.concat(frames.map(encode)), 3).seen).toEqual(['pong', 'ab', [255, 0]])
  })

  test('[EG41] a text is split in the middle of a character', () => {
    const [first, second] = [Buffer.from('ü').subarray(0, 1), Buffer.from('ü').subarray(1)]
    const frames = [
      { opcode: 1, fin: false, payload: first },
      { opcode: 0, payload: second },
    ]
    expect(read(Buffer.concat(frames.map(encode))).seen).toEqual(['ü'])
  })

  test.each<readonly [string, Buffer | readonly Frame[], number]>([
    ['a frame that is not masked', Buffer.from([0x81, 0x01, 0x78]), 1002],
    ['an extension bit', Buffer.from([0xc1, 0x80, 0, 0, 0, 0]), 1002],
    ['an unknown data opcode', [{ opcode: 3 }], 1002],
    ['an unknown control opcode', [{ opcode: 11 }], 1002],
    ['a fragment of nothing', [text('a', { opcode: 0 })], 1002],
    ['a message within another', [text('a', { fin: false }), text('b')], 1002],
    ['a control frame in fragments', [{ opcode: 9, fin: false }], 1002],
    ['a long control frame', [{ opcode: 9, payload: Buffer.alloc(126) }], 1002],
    ['a close code of one byte', [{ opcode: 8, payload: Buffer.from([3]) }], 1002],
    ['a close code that is none', [{ opcode: 8, payload: Buffer.from([3, 237]) }], 1002],
    ['a reason that is not UTF-8', [{ opcode: 8, payload: Buffer.from([3, 232, 255]) }], 1007],
    ['a text that is not UTF-8', [{ opcode: 1, payload: Buffer.from([0xff]) }], 1007],
    ['a message above the limit', [text('x'.repeat(1_001))], 1009],
    ['fragments above the limit', [text('x'.repeat(600), { fin: false }), text('x'.repeat(401), { opcode: 0 })], 1009],
    ['a length of 2⁶³', Buffer.from([0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 1009],
    [
      'more fragments than are taken',
      [text('', { fin: false }), ...Array.from({ length: maxFragments }, () => text('', { opcode: 0, fin: false }))],
      1008,
    ],
  ])('[EG42] %s is a fault, after which nothing is heard', (_, frames, code) => {
    const bytes = Buffer.isBuffer(frames) ? frames : Buffer.concat(frames.map(encode))
    for (const piece of [bytes.length, 1])
      expect(read(Buffer.concat([bytes, encode(text('later'))]), piece)).toMatchObject({ seen: [], fault: { code } })
  })

  test('[EG42] what is too big is refused by its head alone', () => {
    expect(read(Buffer.from([0x81, 0xfe, 0x03, 0xe9, 0, 0, 0, 0])).fault?.code).toBe(1009)
  })

  test('[EG43] a close is told with its code, and nothing after it', () => {
    const close = (...payload: number[]) => encode({ opcode: 8, payload: Buffer.from(payload) })
    expect(read(Buffer.concat([close(0x0f, 0xa0), encode(text('x'))])).seen).toEqual([4_000])
    expect(read(close()).seen).toEqual([1_005])
  })

  test('[EG44] a frame that comes byte by byte costs memory for what has come only', () => {
    const bytes = encode(text('x'.repeat(200_000)))
    expect(read(bytes, 1, 1_000_000).seen).toEqual(['x'.repeat(200_000)])
  })
})
