// WebSocket frames as bytes: right ones, and every way of being wrong that RFC 6455 has a word for.

export const opcodes = { continuation: 0x0, text: 0x1, binary: 0x2, close: 0x8, ping: 0x9, pong: 0xa }

/** A client's frame. `length` says something else than is true, `wide` in more bytes than it needs. */
export function encode(
  random,
  { opcode, payload = Buffer.alloc(0), fin = true, rsv = 0, masked = true, length, wide },
) {
  const size = length ?? BigInt(payload.length)
  const first = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  const flag = masked ? 0x80 : 0
  let head
  if (size < 126n && wide !== true) head = Buffer.from([first, flag | Number(size)])
  else if (size < 65_536n && wide !== true)
    head = Buffer.from([first, flag | 126, Number(size) >> 8, Number(size) & 0xff])
  else {
    head = Buffer.alloc(10)
    head[0] = first
    head[1] = flag | 127
    head.writeBigUInt64BE(size, 2)
  }
  if (!masked) return Buffer.concat([head, payload])
  const mask = random.bytes(4)
  const hidden = Buffer.from(payload)
  for (let i = 0; i < hidden.length; i += 1) hidden[i] ^= mask[i & 3]
  return Buffer.concat([head, mask, hidden])
}

export const textFrame = (random, text) => encode(random, { opcode: opcodes.text, payload: Buffer.from(text) })

/** One message in so many fragments, at times with a ping between two of them. */
function fragmented(random, text, fragments) {
  const payload = Buffer.from(text)
  const parts = []
  for (let i = 0; i < fragments; i += 1) {
    const [from, to] = [i, i + 1].map((at) => Math.floor((payload.length * at) / fragments))
    const opcode = i === 0 ? opcodes.text : opcodes.continuation
    parts.push(encode(random, { opcode, payload: payload.subarray(from, to), fin: i === fragments - 1 }))
    if (i < fragments - 1 && random.chance(0.2))
      parts.push(encode(random, { opcode: opcodes.ping, payload: random.bytes(3) }))
  }
  return Buffer.concat(parts)
}

/** What a connection survives. */
export const harmless = [
  ['ping', (random) => encode(random, { opcode: opcodes.ping, payload: random.bytes(random.pick([0, 1, 125])) })],
  ['pong', (random) => encode(random, { opcode: opcodes.pong, payload: random.bytes(random.pick([0, 125])) })],
  ['fragments', (random, text) => fragmented(random, text, random.int(2, 20))],
  ['long length', (random, text) => encode(random, { opcode: opcodes.text, payload: Buffer.from(text), wide: true })],
]

const closing = (code, reason = Buffer.alloc(0)) => Buffer.concat([Buffer.from([code >> 8, code & 0xff]), reason])

/** What a connection does not survive, or may not. */
export const fatal = [
  ['binary', (random, text) => encode(random, { opcode: opcodes.binary, payload: Buffer.from(text) })],
  ['no UTF-8', (random, text) => encode(random, { opcode: opcodes.text, payload: brokenUtf8(random, text) })],
  ['reserved bits', (random, text) => encode(random, { opcode: 1, payload: Buffer.from(text), rsv: random.int(1, 7) })],
  ['reserved opcode', (random) => encode(random, { opcode: random.pick([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) })],
  ['no mask', (random, text) => encode(random, { opcode: 1, payload: Buffer.from(text), masked: false })],
  ['long ping', (random) => encode(random, { opcode: opcodes.ping, payload: random.bytes(126) })],
  ['ping in fragments', (random) => encode(random, { opcode: opcodes.ping, fin: false })],
  ['continuation of nothing', (random, text) => encode(random, { opcode: 0, payload: Buffer.from(text) })],
  [
    'text within a message',
    (random, text) =>
      Buffer.concat([
        encode(random, { opcode: 1, fin: false }),
        encode(random, { opcode: 1, payload: Buffer.from(text) }),
      ]),
  ],
  ['message without an end', (random, text) => encode(random, { opcode: 1, payload: Buffer.from(text), fin: false })],
  ['length of 2⁶³', (random) => encode(random, { opcode: 1, length: 2n ** 63n, wide: true })],
  ['length of 2³²', (random) => encode(random, { opcode: 1, length: 2n ** 32n, wide: true })],
  [
    'length of more than comes',
    (random, text) => encode(random, { opcode: 1, payload: Buffer.from(text), length: BigInt(random.int(1, 60_000)) }),
  ],
  ['too many fragments', (random) => fragmented(random, JSON.stringify({ type: 'ping', id: 'x'.repeat(64) }), 70)],
  ['close of one byte', (random) => encode(random, { opcode: opcodes.close, payload: Buffer.from([3]) })],
  [
    'close with a code',
    (random) =>
      encode(random, {
        opcode: opcodes.close,
        payload: closing(
          random.pick([0, 999, 1_000, 1_004, 1_005, 1_006, 1_015, 2_999, 3_000, 4_400, 4_999, 5_000, 65_535]),
        ),
      }),
  ],
  [
    'close with no UTF-8',
    (random) => encode(random, { opcode: opcodes.close, payload: closing(1_000, Buffer.from([0xff, 0xfe])) }),
  ],
  ['random bytes', (random) => random.bytes(random.int(1, 200))],
]

function brokenUtf8(random, text) {
  const at = random.int(0, text.length)
  const broken = random.pick([[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0x80], [0xe2, 0x82]])
  return Buffer.concat([Buffer.from(text.slice(0, at)), Buffer.from(broken), Buffer.from(text.slice(at))])
}

/** Takes what a server sends apart. `onFrame(opcode, payload)`; returns what is wrong with the bytes, if anything. */
export function createWalk(onFrame) {
  let rest = Buffer.alloc(0)
  return (data) => {
    rest = rest.length === 0 ? data : Buffer.concat([rest, data])
    for (;;) {
      if (rest.length < 2) return undefined
      if ((rest[0] & 0xf0) !== 0x80) return `a frame of the server begins with ${rest[0].toString(16)}`
      if ((rest[1] & 0x80) !== 0) return 'a frame of the server is masked'
      const short = rest[1] & 0x7f
      const head = short < 126 ? 2 : short === 126 ? 4 : 10
      if (rest.length < head) return undefined
      const length = short < 126 ? short : short === 126 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2))
      if (rest.length < head + length) return undefined
      onFrame(rest[0] & 0x0f, rest.subarray(head, head + length))
      rest = rest.subarray(head + length)
    }
  }
}
