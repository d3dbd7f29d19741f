import { isUtf8 } from 'node:buffer'

/** Fragments of one message: one-byte fragments would otherwise cost a hundred times their size. */
export const maxFragments = 64

/** What a client's bytes say. Payloads are good during the call only. */
export interface FrameSink {
  onMessage(payload: Buffer, isBinary: boolean): void
  onPing(payload: Buffer): void
  onPong(): void
  /** The client closes, or answers a close. Nothing follows. */
  onClose(code: number): void
}
/** What is wrong with them: the code to close with (RFC 6455, section 7.4.1) and the reason. */
export interface FrameFault {
  readonly code: 1002 | 1007 | 1008 | 1009
  readonly reason: string
}

const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const
const fault = (reason: string, code: FrameFault['code'] = 1002): FrameFault => ({ code, reason })
/** No status: what a close without a code counts as. */
const noStatus = 1005

interface Head {
  readonly final: boolean
  readonly opcode: number
  /** Where the mask begins, and how long the payload behind it is. */
  readonly maskAt: number
  readonly length: number
}

/**
 * The frames of one client (RFC 6455, section 5): every one masked, without extensions. What is not whole yet is kept in
 * one buffer that grows with what has come, never with what was announced; an idle reader holds nothing.
 */
export class FrameReader {
  readonly #maxBytes: number
  #held: Buffer | null = null
  #heldBytes = 0
  /** Fragments of the message under way. */
  #fragments: Buffer[] | null = null
  #fragmentBytes = 0
  #isBinary = false

  constructor(maxMessageBytes: number) {
    this.#maxBytes = maxMessageBytes
  }

  /** Tells `sink` of every frame that is whole now. After a fault or a close the reader is not used any more. */
  push(chunk: Buffer, sink: FrameSink): FrameFault | undefined {
    const bytes = this.#held === null ? chunk : this.#append(this.#held, chunk)
    let at = 0
    for (;;) {
      const head = readHead(bytes, at)
      if (head === undefined) break
      if ('reason' in head) return head
      const end = head.maskAt + 4 + head.length
      const wrong = this.#judge(head)
      if (wrong !== undefined) return wrong
      if (end > bytes.length) break
      const payload = bytes.subarray(head.maskAt + 4, end)
      unmask(payload, bytes, head.maskAt)
      const refused = head.opcode >= opcodes.close ? control(head, payload, sink) : this.#data(head, payload, sink)
      if (refused !== undefined) return refused
      if (head.opcode === opcodes.close) return undefined
      at = end
    }
    this.#keep(bytes, at)
    return undefined
  }

  /** Before its payload is there: what would be refused anyhow is not waited for. */
  #judge({ final, opcode, length }: Head): FrameFault | undefined {
    if (opcode >= opcodes.close) {
      if (opcode > opcodes.pong) return fault('unknown opcode')
      return final && length < 126 ? undefined : fault('a control frame is whole and short')
    }
    if (opcode > opcodes.binary) return fault('unknown opcode')
    if ((opcode === opcodes.continuation) !== (this.#fragments !== null)) return fault('fragments out of order')
    return this.#fragmentBytes + length > this.#maxBytes ? fault('frame too big', 1009) : undefined
  }

  #data({ final, opcode }: Head, payload: Buffer, sink: FrameSink): FrameFault | undefined {
    if (opcode !== opcodes.continuation) {
      if (final) return message(payload, opcode === opcodes.binary, sink)
      this.#isBinary = opcode === opcodes.binary
    }
    const fragments = (this.#fragments ??= [])
    if (fragments.length >= maxFragments) return fault('too many fragments', 1008)
    // A copy: the bytes it came in are let go of.
    fragments.push(Buffer.from(payload))
    this.#fragmentBytes += payload.length
    if (!final) return undefined
    this.#fragments = null
    this.#fragmentBytes = 0
    return message(Buffer.concat(fragments), this.#isBinary, sink)
  }

  #append(held: Buffer, chunk: Buffer): Buffer {
    const bytes = this.#heldBytes + chunk.length
    let room = held
    if (bytes > held.length) {
      room = Buffer.allocUnsafeSlow(Math.max(bytes, held.length * 2))
      held.copy(room, 0, 0, this.#heldBytes)
    }
    chunk.copy(room, this.#heldBytes)
    this.#held = room
    this.#heldBytes = bytes
    return room.subarray(0, bytes)
  }

  #keep(bytes: Buffer, from: number): void {
    const left = bytes.length - from
    if (left === 0) this.#held = null
    else if (this.#held === null || from > 0) this.#held = Buffer.from(bytes.subarray(from))
    this.#heldBytes = left
  }
}

/** Undefined while it is not whole. */
function readHead(bytes: Buffer, at: number): Head | FrameFault | undefined {
  if (bytes.length < at + 2) return undefined
  const [first = 0, second = 0] = [bytes[at], bytes[at + 1]]
  if ((first & 0x70) !== 0) return fault('no extension was agreed on')
  if ((second & 0x80) === 0) return fault('frames of a client are masked')
  const head = { final: (first & 0x80) !== 0, opcode: first & 0x0f }
  const short = second & 0x7f
  if (short < 126) return bytes.length < at + 6 ? undefined : { ...head, maskAt: at + 2, length: short }
  if (short === 126)
    return bytes.length < at + 8 ? undefined : { ...head, maskAt: at + 4, length: bytes.readUInt16BE(at + 2) }
  if (bytes.length < at + 14) return undefined
  const length = bytes.readUInt32BE(at + 2) * 0x1_0000_0000 + bytes.readUInt32BE(at + 6)
  return { ...head, maskAt: at + 10, length }
}

function unmask(payload: Buffer, mask: Buffer, at: number): void {
  const [a = 0, b = 0, c = 0, d = 0] = [mask[at], mask[at + 1], mask[at + 2], mask[at + 3]]
  const keys = [a, b, c, d]
  for (let i = 0; i < payload.length; i++) payload[i] = (payload[i] ?? 0) ^ (keys[i & 3] ?? 0)
}

function message(payload: Buffer, isBinary: boolean, sink: FrameSink): FrameFault | undefined {
  if (!isBinary && !isUtf8(payload)) return fault('text that is not UTF-8', 1007)
  sink.onMessage(payload, isBinary)
  return undefined
}

function control({ opcode }: Head, payload: Buffer, sink: FrameSink): FrameFault | undefined {
  if (opcode === opcodes.ping) sink.onPing(payload)
  else if (opcode === opcodes.pong) sink.onPong()
  else return closing(payload, sink)
  return undefined
}

function closing(payload: Buffer, sink: FrameSink): FrameFault | undefined {
  if (payload.length === 1) return fault('a close code has two bytes')
  const code = payload.length === 0 ? noStatus : payload.readUInt16BE(0)
  if (payload.length > 0 && !isCloseCode(code)) return fault('not a close code')
  if (!isUtf8(payload.subarray(2))) return fault('a reason that is not UTF-8', 1007)
  sink.onClose(code)
  return undefined
}

/** Codes that may be on the wire: 1004 to 1006 and 1015 are only for inside of an endpoint. */
function isCloseCode(code: number): boolean {
  return (code >= 1000 && code <= 1014 && !(code >= 1004 && code <= 1006)) || (code >= 3000 && code <= 4999)
}
