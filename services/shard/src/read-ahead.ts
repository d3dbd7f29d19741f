import { decodeInput } from '@flotilla/core/entry'
import type { LogEntry } from '@flotilla/core/entry'
import type { Plan } from '@flotilla/core/plan'
import type { Log } from '@flotilla/node/log'
import type { Store } from '@flotilla/node/store/port'
import { readRoomLog } from './room-log.ts'

/** Of a slot's input, the newest entries that say which rooms are busy; no more rooms of a slot are read. */
const lookBack = 128
const maxRooms = 64
/** Slots of one lane that are read ahead at the same time: those that it serves go on. */
const maxSlots = 2
/** A claim waits for what is read of its slot, not longer than this, ms: its owner may be gone. */
const claimWaitsMs = 1_000
/** What nobody asked for within this time is let go, ms. */
const keptMs = 10_000

export interface ReadAheadDeps {
  readonly store: Store
  readonly log: Log
  readonly lane: number
  readonly owner: string
  /** Ends what is under way. */
  readonly signal: AbortSignal
}

interface Slot {
  readonly done: Promise<void>
  readonly rooms: Map<string, readonly LogEntry[]>
}

/**
 * A slot that is to come from a worker that lives is served by that one until it is claimed, and by nobody from then on until its
 * busy rooms are loaded. So their logs are read before the claim; what was written meanwhile is all that is left to read.
 */
export class ReadAhead {
  readonly #deps: ReadAheadDeps
  readonly #slots = new Map<number, Slot>()
  readonly #waiting: (() => void)[] = []
  #reading = 0
  #plan: Plan | null = null

  constructor(deps: ReadAheadDeps) {
    this.#deps = deps
  }

  /** Begins with the slots that this plan takes from other workers. */
  plan(plan: Plan): void {
    const { lane, owner, store } = this.#deps
    const before = this.#plan
    if (before !== null && plan.version < before.version) return
    this.#plan = plan
    if (before === null) return
    const members = once(async () => new Set((await store.fleet.read()).members.map(({ boot }) => boot)))
    for (let slot = lane; slot < plan.slots.length; slot += store.shape.lanes) {
      const from = before.slots[slot]
      if (from === undefined || from === null || from.worker === owner || plan.slots[slot]?.worker !== owner) continue
      // From one that is dead nothing is to be gained.
      this.#begin(slot, async () => (await members()).has(from.worker))
    }
  }

  /** Before the slot is claimed. */
  async ready(slot: number): Promise<void> {
    const done = this.#slots.get(slot)?.done
    if (done === undefined) return
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, claimWaitsMs)))
    await Promise.race([done, late])
    clearTimeout(timer)
  }

  /** What was read of a room, once. */
  take(slot: number, room: string): readonly LogEntry[] | undefined {
    const rooms = this.#slots.get(slot)?.rooms
    const entries = rooms?.get(room)
    rooms?.delete(room)
    return entries
  }

  #begin(slot: number, isServed: () => Promise<boolean>): void {
    const rooms = new Map<string, readonly LogEntry[]>()
    const done = this.#inTurn(async () => {
      if (await isServed()) await this.#read(slot, rooms)
    }).catch((error: unknown) => {
      // Whatever is wrong shows again when the room is loaded.
      this.#deps.log.debug('not read ahead', { slot, error: String(error) })
    })
    const own = { done, rooms }
    this.#slots.set(slot, own)
    const letGo = (): void => {
      if (this.#slots.get(slot) === own) this.#slots.delete(slot)
    }
    void done.then(() => setTimeout(letGo, keptMs).unref())
  }

  async #read(slot: number, rooms: Map<string, readonly LogEntry[]>): Promise<void> {
    const { store, signal } = this.#deps
    const busy = busyRooms((await store.inputs.newest(slot, lookBack)).map(({ body }) => body))
    const wanted = (): boolean => !signal.aborted
    await Promise.all(
      busy.map(async (room) => {
        const entries = await readRoomLog(store, room, { wanted })
        if (entries !== undefined) rooms.set(room, entries)
      }),
    )
  }

  async #inTurn(task: () => Promise<void>): Promise<void> {
    if (this.#reading >= maxSlots) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    this.#reading += 1
    try {
      await task()
    } finally {
      this.#reading -= 1
      this.#waiting.shift()?.()
    }
  }
}

function once<T>(call: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined
  return () => (answer ??= call())
}

/** Rooms that were published to or declared, from the newest entries on. */
function busyRooms(bodies: readonly string[]): string[] {
  const rooms = new Set<string>()
  for (const body of bodies) {
    for (const message of decodeInput(body)?.messages ?? []) {
      if (message.type !== 'ephemeral') rooms.add(message.room)
      if (rooms.size === maxRooms) return [...rooms]
    }
  }
  return [...rooms]
}
