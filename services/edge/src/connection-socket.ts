import type { SessionClock } from '@flotilla/core/session-state'

/** What a connection needs of its WebSocket (client-socket.ts). */
export interface ConnectionSocket {
  /** Neither side has closed it. */
  readonly isOpen: boolean
  /** Sends a close; the socket is cut when it is not answered in time. */
  close(code: number, reason: string): void
  /** A shorter time than usual. */
  cutAfter(ms: number): void
  pause(): void
  resume(): void
}

export const clock: SessionClock = {
  get now() {
    return performance.now()
  },
  get wallMs() {
    return Date.now()
  },
  get timestamp() {
    return new Date().toISOString()
  },
}
