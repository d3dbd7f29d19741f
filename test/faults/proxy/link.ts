import type { Socket } from 'node:net'

/** What a direction does to what passes. Absent or 0: nothing of that kind. */
export interface Conditions {
  /** Delay, and up to how much more of it at random, ms. Order is kept. */
  readonly latencyMs?: number
  readonly jitterMs?: number
  readonly bytesPerSecond?: number
  /** Bytes per write: each goes out as a segment of its own. */
  readonly sliceBytes?: number
  /** Nothing passes, and nobody is told, not even of a close: as when packets are dropped. What was sent comes later. */
  readonly held?: boolean
}

export interface LinkCounters {
  bytes: number
  segments: number
  /** Bytes that had to wait because the direction was held. */
  heldBytes: number
  delayedChunks: number
}

/** Bytes that wait in one direction before the sender is not read any more. */
const maxWaiting = 1_048_576
/** What one write carries at the most while a bandwidth is set, so that the rate is even. */
const rateSlice = 4_096

interface Waiting {
  /** `null`: the sender has ended. */
  bytes: Buffer | null
  readonly due: number
}

/** One direction of a connection. */
export class Link {
  readonly #from: Socket
  readonly #to: Socket
  readonly #counters: LinkCounters
  readonly #random: () => number
  #conditions: Conditions = {}
  #queue: Waiting[] = []
  #waiting = 0
  #lastDue = 0
  #timer: NodeJS.Timeout | undefined
  #scheduled = false
  /** Looks at what passes; true: it is swallowed. */
  readonly #intercept: (bytes: Buffer) => boolean

  constructor(
    ends: { from: Socket; to: Socket },
    counters: LinkCounters,
    random: () => number,
    intercept: (bytes: Buffer) => boolean,
  ) {
    this.#from = ends.from
    this.#to = ends.to
    this.#counters = counters
    this.#random = random
    this.#intercept = intercept
    this.#from.on('data', (bytes: Buffer) => this.#take(bytes))
    this.#from.on('end', () => this.#enqueue(null))
    this.#from.on('close', () => this.#enqueue(null))
    this.#to.on('drain', () => this.#pump())
  }

  set(conditions: Conditions): void {
    this.#conditions = conditions
    this.#pump()
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#queue = []
  }

  #take(bytes: Buffer): void {
    if (this.#intercept(bytes)) return
    this.#enqueue(bytes)
  }

  #enqueue(bytes: Buffer | null): void {
    const { latencyMs = 0, jitterMs = 0, held = false } = this.#conditions
    const delayMs = latencyMs + jitterMs * this.#random()
    // Later bytes never overtake earlier ones.
    this.#lastDue = Math.max(this.#lastDue, performance.now() + delayMs)
    if (delayMs > 0) this.#counters.delayedChunks += 1
    if (held) this.#counters.heldBytes += bytes?.length ?? 0
    this.#queue.push({ bytes, due: this.#lastDue })
    this.#waiting += bytes?.length ?? 0
    if (this.#waiting > maxWaiting) this.#from.pause()
    this.#pump()
  }

  #pump(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    while (
      this.#queue.length > 0 &&
      this.#conditions.held !== true &&
      !this.#to.writableNeedDrain &&
      !this.#scheduled
    ) {
      const head = this.#queue[0]
      if (head === undefined) return
      const early = head.due - performance.now()
      if (early > 0) {
        this.#timer = setTimeout(() => this.#pump(), early)
        return
      }
      if (head.bytes === null) {
        this.#queue.shift()
        this.#to.end()
      } else this.#write(head, head.bytes)
    }
    if (this.#waiting <= maxWaiting && this.#from.isPaused()) this.#from.resume()
  }

  #write(head: Waiting, bytes: Buffer): void {
    const { sliceBytes = 0, bytesPerSecond = 0 } = this.#conditions
    const most = Math.min(sliceBytes || Infinity, bytesPerSecond > 0 ? rateSlice : Infinity, bytes.length)
    this.#to.write(bytes.subarray(0, most))
    this.#counters.bytes += most
    this.#counters.segments += 1
    this.#waiting -= most
    if (most === bytes.length) this.#queue.shift()
    else head.bytes = bytes.subarray(most)
    const pauseMs = bytesPerSecond > 0 ? (most * 1_000) / bytesPerSecond : 0
    if (pauseMs === 0 && sliceBytes === 0) return
    // A write of its own needs a turn of its own, else the kernel is given several at once.
    this.#scheduled = true
    const go = (): void => {
      this.#scheduled = false
      this.#pump()
    }
    if (pauseMs > 1) setTimeout(go, pauseMs)
    else setImmediate(go)
  }
}
