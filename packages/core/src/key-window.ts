import { dedupeMs } from './limits.ts'

/** What a text of a room hashes to, before or after the text: three numbers of 32 bits. */
export interface KeyHash {
  readonly a: number
  readonly b: number
  readonly c: number
}

/** What the slots of a lane remember together. */
export interface KeyBudget {
  used: number
  readonly max: number
}

/** Numbers of 32 bits per entry of the ring: hash a, b, c, seq low, seq high, time. */
const stride = 6
const smallest = 64

/**
 * The publish keys of a slot's last two minutes: what makes a repeated publish the message that it was (promise 3).
 *
 * It keeps 96 bits of each key instead of the key: 32 to 64 bytes outside the garbage collector's reach instead of 140
 * within it, for every message of two minutes. That another key of a full room has the same 96 bits has a chance of
 * 10^5 / 2^96, about 10^-24 per message; `seed` is secret and random, so nobody can look for such keys.
 *
 * A ring in order of time, which is the order of forgetting, and an index into it with open addressing.
 *
 * @example
 * const keys = new KeyWindow(seed)
 * const room = keys.hash('public:a')
 * if (keys.find(room, 'alice\u001fk1', 8) === undefined) keys.add(1, nowMs)
 */
export class KeyWindow {
  readonly #start: KeyHash
  readonly #budget: KeyBudget
  #ring = new Uint32Array(smallest * stride)
  /** Ring entry + 1 per bucket; 0: empty. At least two buckets per entry. */
  #index = new Int32Array(smallest * 2)
  #capacity = smallest
  #first = 0
  #size = 0
  #a = 0
  #b = 0
  #c = 0

  /** @param seed a random number of 32 bits. */
  constructor(seed: number, budget: KeyBudget = { used: 0, max: Infinity }) {
    this.#budget = budget
    this.#start = {
      a: seed | 0,
      b: Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b),
      c: Math.imul(seed ^ 0x7f4a7c15, 0xc2b2ae35),
    }
  }

  get size(): number {
    return this.#size
  }

  /** No key more may be remembered, in all slots of the lane together. */
  get isFull(): boolean {
    return this.#budget.used >= this.#budget.max
  }

  /** Where the hashes of a room's keys begin. */
  hash(room: string): KeyHash {
    this.#mix(this.#start, room, room.length)
    return { a: this.#a, b: this.#b, c: this.#c }
  }

  /** The seq of the room's message whose key is the first `end` characters of `text`. The next `add` is for this key. */
  find(room: KeyHash, text: string, end: number): number | undefined {
    this.#mix(room, text, end)
    const entry = this.#entryAt(this.#bucket(this.#a, this.#b, this.#c))
    return entry < 0 ? undefined : this.#word(entry, 3) + this.#word(entry, 4) * 2 ** 32
  }

  /** Remembers the key that was looked for last. `nowMs` must never go back. */
  add(seq: number, nowMs: number): void {
    this.expire(nowMs)
    if (this.#size === this.#capacity) this.#resize(this.#capacity * 2)
    const entry = (this.#first + this.#size) & (this.#capacity - 1)
    const at = entry * stride
    this.#ring[at] = this.#a
    this.#ring[at + 1] = this.#b
    this.#ring[at + 2] = this.#c
    this.#ring[at + 3] = seq
    this.#ring[at + 4] = seq / 2 ** 32
    this.#ring[at + 5] = nowMs
    this.#size += 1
    this.#budget.used += 1
    // The same key again (its room was loaded anew): from now on it is this one.
    this.#index[this.#bucket(this.#a, this.#b, this.#c)] = entry + 1
  }

  /** Forgets what is older than two minutes. */
  expire(nowMs: number): void {
    while (this.#size > 0 && this.#age(this.#first, nowMs) >= dedupeMs) {
      const bucket = this.#bucket(this.#word(this.#first, 0), this.#word(this.#first, 1), this.#word(this.#first, 2))
      if (this.#entryAt(bucket) === this.#first) this.#vacate(bucket)
      this.#first = (this.#first + 1) & (this.#capacity - 1)
      this.#size -= 1
      this.#budget.used -= 1
    }
  }

  /** The slot is given up. */
  release(): void {
    this.#budget.used -= this.#size
    this.#size = 0
  }

  /** Gives memory back that a busier time needed. */
  shrink(): void {
    if (this.#capacity > smallest && this.#size < this.#capacity / 8) this.#resize(this.#capacity / 2)
  }

  #word(entry: number, i: number): number {
    return this.#ring[entry * stride + i] ?? 0
  }

  /** Of times modulo 2^32 ms. */
  #age(entry: number, nowMs: number): number {
    return (Math.floor(nowMs) - this.#word(entry, 5)) >>> 0
  }

  #entryAt(bucket: number): number {
    return (this.#index[bucket] ?? 0) - 1
  }

  /** The bucket of this hash: where it is, or the empty one where it belongs. */
  #bucket(a: number, b: number, c: number): number {
    const mask = this.#index.length - 1
    for (let bucket = a & mask; ; bucket = (bucket + 1) & mask) {
      const entry = this.#entryAt(bucket)
      if (entry < 0) return bucket
      if (this.#word(entry, 0) === a >>> 0 && this.#word(entry, 1) === b >>> 0 && this.#word(entry, 2) === c >>> 0)
        return bucket
    }
  }

  /** Empties a bucket and closes the gap, so that what was put behind it is still found. */
  #vacate(gap: number): void {
    const mask = this.#index.length - 1
    for (let bucket = (gap + 1) & mask; ; bucket = (bucket + 1) & mask) {
      const entry = this.#entryAt(bucket)
      if (entry < 0) break
      const home = this.#word(entry, 0) & mask
      if (((bucket - home) & mask) < ((bucket - gap) & mask)) continue
      this.#index[gap] = entry + 1
      gap = bucket
    }
    this.#index[gap] = 0
  }

  #resize(capacity: number): void {
    const ring = new Uint32Array(capacity * stride)
    for (let i = 0; i < this.#size; i++) {
      const from = ((this.#first + i) & (this.#capacity - 1)) * stride
      ring.set(this.#ring.subarray(from, from + stride), i * stride)
    }
    this.#ring = ring
    this.#index = new Int32Array(capacity * 2)
    this.#capacity = capacity
    this.#first = 0
    for (let i = 0; i < this.#size; i++) {
      this.#index[this.#bucket(this.#word(i, 0), this.#word(i, 1), this.#word(i, 2))] = i + 1
    }
  }

  /**
   * Two characters at a time, and the length at the end: a room and a key must not hash to what another room hashes to
   * with the rest of its name in the key. Each step can be undone, so nothing of what came before is lost.
   */
  #mix(from: KeyHash, text: string, end: number): void {
    let { a, b, c } = from
    for (let i = 0; i < end + 2; i += 2) {
      const last = i + 1 < end ? text.charCodeAt(i + 1) : 0
      const pair = i < end ? text.charCodeAt(i) | (last << 16) : end
      a = Math.imul(a ^ pair, 0x01000193)
      a ^= a >>> 15
      b = Math.imul(b ^ pair, 0x5bd1e995)
      b ^= b >>> 13
      c = Math.imul(c ^ pair, 0x27d4eb2f)
      c ^= c >>> 16
    }
    this.#a = a
    this.#b = b
    this.#c = c
  }
}
