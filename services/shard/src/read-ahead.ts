import { decodeInput, detached } from '@flotilla/core/entry'
import type { LogEntry } from '@flotilla/core/entry'
import type { Plan } from '@flotilla/core/plan'
import type { Log } from '@flotilla/node/log'
import type { Store } from '@flotilla/node/store/port'
import { charsOf, readRoomLog } from './room-log.ts'
import { createTurns } from './turns.ts'

/** Of a slot's input, the newest entries that say which rooms are busy: first a few, then more where those are small, UTF-16 units. */
const firstLook = 8
const fullLook = 128
const smallChars = 2_048
/** No more rooms of a slot are read. */
const maxRooms = 64
/** Slots of one lane, and rooms of all of them, that are read at the same time: the slots that it serves go on. */
const maxSlots = 2
const maxReads = 16
/** What a lane keeps for claims to come, UTF-16 units; beyond, rooms are read when they are loaded. */
const maxKeptChars = 33_554_432
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
  readonly rooms: Map<string, { readonly entries: readonly LogEntry[]; readonly chars: number }>
  done: Promise<void>
  /** The server's run, the same before and after all of it was read; undefined: of no use. */
  run: string | undefined
  /** Nobody waits for it any more: nothing else is read. */
  over: boolean
}

/**
 * A slot that is to come from a worker that lives is served by that one until it is claimed, and by nobody from then on until its
 * busy rooms are loaded. So their logs are read before the claim; what was written meanwhile is all that is left to read.
 */
export class ReadAhead {
  readonly #deps: ReadAheadDeps
  readonly #slots = new Map<number, Slot>()
  readonly #slotTurns = createTurns(maxSlots)
  readonly #roomTurns = createTurns(maxReads)
  #keptChars = 0
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
    for (const [slot, own] of this.#slots) if (plan.slots[slot]?.worker !== owner) this.#letGo(slot, own)
    if (before === null) return
    let members: Promise<ReadonlySet<string>> | undefined
    const readMembers = async (): Promise<ReadonlySet<string>> =>
      new Set((await store.fleet.read()).members.map(({ boot }) => boot))
    for (let slot = lane; slot < plan.slots.length; slot += store.shape.lanes) {
      const from = before.slots[slot]
      if (from === undefined || from === null || from.worker === owner || plan.slots[slot]?.worker !== owner) continue
      // From one that is dead nothing is to be gained.
      this.#begin(slot, async () => (await (members ??= readMembers())).has(from.worker))
    }
  }

  /** Before the slot is claimed. */
  async ready(slot: number): Promise<void> {
    const own = this.#slots.get(slot)
    if (own === undefined) return
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, claimWaitsMs)))
    await Promise.race([own.done, late])
    clearTimeout(timer)
    own.over = true
    if (own.run === undefined) this.#letGo(slot, own)
  }

  /** What was read of a room, once, if the server still was in the state `run` when the slot was claimed. */
  take(slot: number, room: string, run: string | undefined): readonly LogEntry[] | undefined {
    const own = this.#slots.get(slot)
    const found = own?.rooms.get(room)
    if (own === undefined || found === undefined) return undefined
    own.rooms.delete(room)
    this.#keptChars -= found.chars
    return own.run !== undefined && own.run === run ? found.entries : undefined
  }

  #begin(slot: number, isServed: () => Promise<boolean>): void {
    const before = this.#slots.get(slot)
    if (before !== undefined) this.#letGo(slot, before)
    const own: Slot = { rooms: new Map(), done: Promise.resolve(), run: undefined, over: false }
    const read = async (): Promise<void> => {
      if (await isServed()) await this.#slotTurns(() => this.#read(slot, own))
    }
    own.done = read().catch((error: unknown) => {
      // Whatever is wrong shows again when the room is loaded.
      this.#deps.log.debug('not read ahead', { slot, error: String(error) })
    })
    this.#slots.set(slot, own)
    void own.done.then(() => setTimeout(() => this.#letGo(slot, own), keptMs).unref())
  }

  #letGo(slot: number, own: Slot): void {
    own.over = true
    for (const { chars } of own.rooms.values()) this.#keptChars -= chars
    own.rooms.clear()
    if (this.#slots.get(slot) === own) this.#slots.delete(slot)
  }

  /** All of it from one state of the server: pages of two might not fit together. */
  async #read(slot: number, own: Slot): Promise<void> {
    const { store, lane, signal } = this.#deps
    const wanted = (): boolean => !own.over && !signal.aborted
    if (!wanted()) return
    const { run } = await store.slots.values(lane, [slot])
    if (run === '') return
    const busy = await this.#busyRooms(slot)
    await Promise.all(busy.map((room) => this.#roomTurns(() => this.#readRoom(own, room, wanted))))
    if (wanted() && (await store.slots.values(lane, [slot])).run === run) own.run = run
  }

  async #readRoom(own: Slot, room: string, wanted: () => boolean): Promise<void> {
    try {
      const entries = await readRoomLog(this.#deps.store, room, { wanted })
      if (entries === undefined || !wanted()) return
      const chars = charsOf(entries)
      if (this.#keptChars + chars > maxKeptChars) return
      this.#keptChars += chars
      own.rooms.set(room, { entries, chars })
    } catch (error) {
      this.#deps.log.debug('room not read ahead', { room, error: String(error) })
    }
  }

  /** Rooms that were published to or declared lately, the last ones first. */
  async #busyRooms(slot: number): Promise<string[]> {
    const { inputs } = this.#deps.store
    let newest = await inputs.newest(slot, firstLook)
    const chars = newest.reduce((sum, { body }) => sum + body.length, 0)
    if (newest.length === firstLook && chars <= firstLook * smallChars) newest = await inputs.newest(slot, fullLook)
    const rooms = new Set<string>()
    for (const { body } of newest) {
      for (const message of decodeInput(body)?.messages ?? []) {
        if (message.type !== 'ephemeral' && rooms.size < maxRooms) rooms.add(message.room)
      }
    }
    return [...rooms].map(detached)
  }
}
