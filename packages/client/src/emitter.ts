import type { EventFrame } from '@flotilla/core/frames'
import type { Position } from '@flotilla/core/position'
import type { Log } from './options.ts'

/** An event as handlers get it. `position` is absent on ephemeral events, which have no place in the order. */
export interface RoomEvent {
  readonly room: string
  readonly event: string
  readonly data: unknown
  readonly meta: EventFrame['meta']
  readonly position?: Position
}

export type EventListener = (event: RoomEvent) => void
/** Stops what it was returned for; calling it again does nothing. */
export type Off = () => void

/** Listeners by name; `*` hears everything. One that throws is logged and stops nobody. */
export class Emitter<T> {
  readonly #listeners = new Map<string, Set<(value: T) => void>>()
  readonly #log: Log

  constructor(log: Log) {
    this.#log = log
  }

  get empty(): boolean {
    return this.#listeners.size === 0
  }

  on(name: string, listener: (value: T) => void): Off {
    // A wrapper of its own, so that the same function added twice is heard twice and taken away once.
    const entry = (value: T): void => listener(value)
    const set = this.#listeners.get(name) ?? new Set()
    this.#listeners.set(name, set.add(entry))
    return () => {
      if (set.delete(entry) && set.size === 0 && this.#listeners.get(name) === set) this.#listeners.delete(name)
    }
  }

  /** Returns whether anybody listens. */
  emit(name: string, value: T): boolean {
    let heard = false
    for (const key of name === '*' ? ['*'] : [name, '*']) {
      // A copy: who is added by a listener hears from the next one on.
      for (const listener of Array.from(this.#listeners.get(key) ?? [])) {
        heard = true
        try {
          listener(value)
        } catch (error) {
          this.#log('a listener threw', error)
        }
      }
    }
    return heard
  }

  clear(): void {
    this.#listeners.clear()
  }
}
