import type { OutEvent } from '@flotilla/core/entry'

/** A text frame as a server sends it: not masked, not fragmented (RFC 6455, section 5.2). */
export function textFrame(text: string): Buffer {
  const bytes = Buffer.byteLength(text)
  const head = headerBytes(bytes)
  const frame = Buffer.allocUnsafe(head + bytes)
  writeHeader(frame, 0, bytes)
  frame.write(text, head, 'utf8')
  return frame
}

/** A ping without a payload. */
export const pingFrame = Buffer.from([0x89, 0])

/** The answer to a ping: its payload (at most 125 bytes), as it came. */
export function pongFrame(payload: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x8a, payload.length]), payload])
}

/**
 * Several texts, each in a frame of its own, in one buffer: encoded once, written to many sockets. `ends` gets where each of
 * them ends.
 */
export function textFrames(texts: readonly string[], ends?: number[]): Buffer {
  const sizes = texts.map((text) => Buffer.byteLength(text))
  const total = sizes.reduce((sum, bytes) => sum + headerBytes(bytes) + bytes, 0)
  const frames = Buffer.allocUnsafe(total)
  let at = 0
  texts.forEach((text, i) => {
    const bytes = sizes[i] ?? 0
    at = writeHeader(frames, at, bytes)
    frames.write(text, at, 'utf8')
    at += bytes
    ends?.push(at)
  })
  return frames
}

function headerBytes(bytes: number): number {
  return bytes < 126 ? 2 : bytes < 65_536 ? 4 : 10
}

function writeHeader(frame: Buffer, at: number, bytes: number): number {
  frame[at] = 0x81
  if (bytes < 126) {
    frame[at + 1] = bytes
    return at + 2
  }
  if (bytes < 65_536) {
    frame[at + 1] = 126
    frame.writeUInt16BE(bytes, at + 2)
    return at + 4
  }
  frame[at + 1] = 127
  frame.writeBigUInt64BE(BigInt(bytes), at + 2)
  return at + 10
}

/** The event frame of a room: what the publisher's edge encoded, with room and seq in front. */
export function eventText(roomJson: string, seq: number, event: OutEvent): string {
  return `{"type":"event","room":${roomJson},"seq":${seq},${event.tail}}`
}

/** The position frame that moves a client along: nothing was lost. */
export function positionText(roomJson: string, epoch: string, seq: number): string {
  return `{"type":"position","room":${roomJson},"position":{"epoch":"${epoch}","seq":${seq}},"recovered":true}`
}

export function ephemeralText(roomJson: string, event: OutEvent): string {
  return `{"type":"event","room":${roomJson},${event.tail}}`
}
