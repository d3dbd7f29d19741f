import type { EventFrame } from '@flotilla/core/frames'

/** Events that were sent to several rooms, of which it is remembered which room brought them. */
const maxRemembered = 1_000

/** An event that was sent to several rooms is heard once by who hears several of them: their copies have one `meta.id`. */
export class Copies {
  readonly #roomOf = new Map<string, string>()

  /** Whether another room has brought the event. In its own room it would have been told as a repeat by its number. */
  has({ room, meta }: EventFrame): boolean {
    const first = meta.id === undefined ? undefined : this.#roomOf.get(nameOf(meta))
    return first !== undefined && first !== room
  }

  /** Somebody has heard it. */
  add({ room, meta }: EventFrame): void {
    if (meta.id === undefined) return
    this.#roomOf.set(nameOf(meta), room)
    const [oldest] = this.#roomOf.keys()
    if (oldest !== undefined && this.#roomOf.size > maxRemembered) this.#roomOf.delete(oldest)
  }
}

/** Ids are unique for each publisher. */
const nameOf = ({ userId, id }: EventFrame['meta']): string => `${userId}\n${id}`
