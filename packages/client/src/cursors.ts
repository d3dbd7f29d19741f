import { after } from './backoff.ts'
import type { Client } from './client.ts'
import type { Off } from './emitter.ts'

/** A cursor is told this often at the most, ms: just below 60 times a second. */
export const cursorEveryMs = 17

export interface CursorPlace {
  readonly x: number
  readonly y: number
  /** What the application added: a selection, a colour. */
  readonly extra?: unknown
}
export interface CursorMove extends CursorPlace {
  readonly userId: string
  /** Of the device that it is on: a user with two has two cursors. */
  readonly connectionId: string | undefined
}

/** Cursors of one room. */
export interface Cursors {
  /** This user's cursor is here now. Of moves that come faster than 60 a second the newest is told. */
  move(x: number, y: number, extra?: unknown): void
  /** Told of every move of the others that arrives: newer places replace older ones on the way. */
  onCursor(listener: (move: CursorMove) => void): Off
  /** Tells nothing any more, and hears nothing. */
  close(): void
}

/**
 * Cursors in a room that is subscribed. Nothing of them is kept by the server; they go as `cursor.move`.
 * @example const cursors = cursorsIn(client, 'document:9'); onpointermove = (e) => cursors.move(e.x, e.y)
 */
export function cursorsIn(client: Client, room: string): Cursors {
  let next: CursorPlace | undefined
  let stopWaiting: (() => void) | undefined
  const offs = new Set<Off>()

  function tell(place: CursorPlace): void {
    client
      .publish(room, 'cursor.move', place, { ephemeral: true, echo: false, conflate: 'cursor' })
      .catch(() => undefined)
    stopWaiting = after(cursorEveryMs, () => {
      stopWaiting = undefined
      const place = next
      next = undefined
      if (place !== undefined) tell(place)
    })
  }
  function close(): void {
    stopWaiting?.()
    next = stopWaiting = undefined
    for (const off of offs) off()
    offs.clear()
  }
  offs.add(
    client.onState((state) => {
      if (state === 'closed') close()
    }),
  )

  return {
    move: (x, y, extra) => {
      const place = extra === undefined ? { x, y } : { x, y, extra }
      if (stopWaiting === undefined) tell(place)
      else next = place
    },
    onCursor: (listener) => {
      const off = client.room(room).on('cursor.move', ({ data, meta }) => {
        const place = placeIn(data)
        if (place !== undefined) listener({ ...place, userId: meta.userId, connectionId: meta.connectionId })
      })
      offs.add(off)
      return () => {
        offs.delete(off)
        off()
      }
    },
    close,
  }
}

/** Undefined: of another form, as another program may publish it. */
function placeIn(data: unknown): CursorPlace | undefined {
  if (typeof data !== 'object' || data === null || !('x' in data) || !('y' in data)) return undefined
  const { x, y } = data
  if (typeof x !== 'number' || typeof y !== 'number') return undefined
  return 'extra' in data ? { x, y, extra: data.extra } : { x, y }
}
