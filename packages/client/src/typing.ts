import { after } from './backoff.ts'
import type { Client } from './client.ts'
import type { Off, RoomEvent } from './emitter.ts'

/** Who types and does not go on stops by itself after this, ms. */
export const typingStopMs = 3_000
/** While somebody goes on it is said again this often, ms. */
export const typingRepeatMs = 2_000
/** A typist of whom nothing is heard is forgotten after this, ms: a second later than it stops by itself. */
export const typingForgetMs = typingStopMs + 1_000
/** Typists of one room that are kept; further ones are not shown. */
export const maxTypists = 1_000

/** Who types in one room. */
export interface Typing {
  /** This user types: call it at every key. */
  start(): void
  /** This user has stopped, or sent what was typed. */
  stop(): void
  /** Ids of the other users who type, sorted. */
  readonly users: readonly string[]
  /** Told whenever they are others than before. */
  onTyping(listener: (users: readonly string[]) => void): Off
  /** Says that this user has stopped, and hears nothing any more. */
  close(): void
}

/**
 * Typing in a room that is subscribed. Nothing of it is kept by the server; it goes as `typing.start` and `typing.stop`.
 * @example const typing = typingIn(client, 'conversation:9'); input.oninput = () => typing.start()
 */
export function typingIn(client: Client, room: string): Typing {
  const typists = createTypists()
  const own = createTypist((event) => {
    client.publish(room, event, null, { ephemeral: true, echo: false, conflate: 'typing' }).catch(() => undefined)
  })
  const view = client.room(room)
  const others =
    (hear: (event: RoomEvent) => void) =>
    (event: RoomEvent): void => {
      if (event.meta.userId !== client.session?.userId) hear(event)
    }
  const offs = [
    view.on('typing.start', others(typists.started)),
    view.on('typing.stop', others(typists.stopped)),
    client.onState((state) => {
      if (state === 'closed') close()
    }),
  ]

  function close(): void {
    own.stop()
    for (const off of offs) off()
    typists.close()
  }

  return {
    start: own.start,
    stop: own.stop,
    get users() {
      return typists.users()
    },
    onTyping: typists.onChange,
    close,
  }
}

/** This user: says so at the first key and now and then, and that it has stopped when no key follows. */
function createTypist(say: (event: 'typing.start' | 'typing.stop') => void) {
  let stopWaiting: (() => void) | undefined
  let saidAtMs = 0
  const stop = (): void => {
    if (stopWaiting === undefined) return
    stopWaiting()
    stopWaiting = undefined
    say('typing.stop')
  }
  const start = (): void => {
    const now = Date.now()
    if (stopWaiting === undefined || now - saidAtMs >= typingRepeatMs) {
      saidAtMs = now
      say('typing.start')
    }
    stopWaiting?.()
    stopWaiting = after(typingStopMs, stop)
  }
  return { start, stop }
}

/** The others, by connection: who types on one device does not stop on another. */
function createTypists() {
  const byConnection = new Map<string, { readonly userId: string; forget: () => void }>()
  const listeners = new Set<(users: readonly string[]) => void>()
  let told = ''

  const users = (): string[] => [...new Set(Array.from(byConnection.values(), ({ userId }) => userId))].sort()
  const tell = (): void => {
    const now = users()
    const text = JSON.stringify(now)
    if (text === told) return
    told = text
    for (const listener of Array.from(listeners)) listener(now)
  }
  const idOf = ({ meta }: RoomEvent): string => meta.connectionId ?? meta.userId
  const forget = (id: string): void => {
    byConnection.get(id)?.forget()
    if (byConnection.delete(id)) tell()
  }

  return {
    users,
    started: (event: RoomEvent): void => {
      const id = idOf(event)
      byConnection.get(id)?.forget()
      if (!byConnection.has(id) && byConnection.size >= maxTypists) return
      byConnection.set(id, { userId: event.meta.userId, forget: after(typingForgetMs, () => forget(id)) })
      tell()
    },
    stopped: (event: RoomEvent): void => forget(idOf(event)),
    onChange: (listener: (users: readonly string[]) => void): Off => {
      const entry = (now: readonly string[]): void => listener(now)
      listeners.add(entry)
      return () => void listeners.delete(entry)
    },
    close: (): void => {
      for (const typist of byConnection.values()) typist.forget()
      byConnection.clear()
      listeners.clear()
    },
  }
}
