import type { Duplex } from 'node:stream'
import { hardBufferBytes, softBufferBytes, stuckSocketMs } from '@flotilla/core/limits'

/**
 * How far a client is behind with reading, judged by what it has left unread before something is added: neither a large
 * event nor a long replay makes a consumer slow. A replay is let go of as a whole; what counts is what came after it.
 */
export interface Reading {
  /** Bytes given to the socket so far. */
  written: number
  /** The end of the last replay among them: what is unread up to here does not count. */
  replayEnd: number
  /** What the last look saw, and when it last saw that the client had read something. */
  read: number
  queued: number
  movedAtMs: number
}

export function createReading(nowMs: number): Reading {
  return { written: 0, replayEnd: 0, read: 0, queued: 0, movedAtMs: nowMs }
}

/** Unread bytes that count: those behind the last replay. */
export function behind({ written, replayEnd }: Reading, unread: number): number {
  return Math.min(unread, Math.max(0, written - replayEnd))
}

/** Whether nothing more may be put behind what is unread. */
export function isTooSlow(reading: Reading, unread: number): boolean {
  return unread > hardBufferBytes && behind(reading, unread) > hardBufferBytes
}

/** Whether what may be left out is left out. */
export function isSlow(reading: Reading, unread: number): boolean {
  return unread > softBufferBytes && behind(reading, unread) > softBufferBytes
}

/** Whether another replay may be begun: one at a time goes beyond the limit, or memory would have none. */
export function mayReplay(unread: number): boolean {
  return unread <= hardBufferBytes
}

/**
 * One look, once a second. `unread`: bytes that the socket has not handed to the kernel; `queued`: those of them in the
 * write that is under way, because `unread` moves only when that is through, and one of megabytes takes a slow client
 * long. True: the client reads nothing at all.
 */
export function isStuck(reading: Reading, at: { nowMs: number; unread: number; queued: number }): boolean {
  const read = reading.written - at.unread
  if (at.unread === 0 || read > reading.read || at.queued !== reading.queued) reading.movedAtMs = at.nowMs
  reading.read = read
  reading.queued = at.queued
  return at.nowMs - reading.movedAtMs > stuckSocketMs
}

/** Bytes of the write under way that the kernel has not taken: the socket tells in a field of its handle only. */
export function queuedBytes(raw: Duplex): number {
  const { _handle: handle } = raw as Duplex & { readonly _handle?: { readonly writeQueueSize?: number } | null }
  return handle?.writeQueueSize ?? 0
}
