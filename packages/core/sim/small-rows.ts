/** A state of the small model, by the numbers of its parts. */
export type Row = readonly [store: number, edge: number, one: number, other: number, rest: number]

const width = 5
/** Of a row in the table: itself, the row before it, and the action that led to it. */
const stride = width + 2
const smallest = 1 << 12

/** Rows in the order in which they were met, each once. Millions of them: numbers in one array, and an index with open addressing. */
export class Rows {
  #rows = new Uint32Array(smallest * stride)
  /** Number of the row + 1 per bucket; 0: empty. At least two buckets per row. */
  #index = new Uint32Array(smallest * 2)
  #size = 0

  get size(): number {
    return this.#size
  }

  /** False: it is there already. `from`: what it was met from. */
  add(row: Row, from: { readonly row: number; readonly action: number }): boolean {
    const bucket = this.#bucket(row)
    if (this.#index[bucket] !== 0) return false
    const at = this.#size * stride
    for (let i = 0; i < width; i += 1) this.#rows[at + i] = row[i] ?? 0
    this.#rows[at + width] = from.row
    this.#rows[at + width + 1] = from.action
    this.#size += 1
    this.#index[bucket] = this.#size
    if (this.#size * 2 >= this.#index.length) this.#grow()
    return true
  }

  has(row: Row): boolean {
    return this.#index[this.#bucket(row)] !== 0
  }

  at(number: number): Row {
    return [
      this.#word(number, 0),
      this.#word(number, 1),
      this.#word(number, 2),
      this.#word(number, 3),
      this.#word(number, 4),
    ]
  }

  /** What the row was met from. */
  before(number: number): { row: number; action: number } {
    return { row: this.#word(number, width), action: this.#word(number, width + 1) }
  }

  #word(number: number, i: number): number {
    return this.#rows[number * stride + i] ?? 0
  }

  /** Where the row is, or the empty bucket where it belongs. */
  #bucket(row: Row): number {
    const mask = this.#index.length - 1
    for (let bucket = hash(row) & mask; ; bucket = (bucket + 1) & mask) {
      const number = (this.#index[bucket] ?? 0) - 1
      if (number < 0 || this.#is(number, row)) return bucket
    }
  }

  #is(number: number, row: Row): boolean {
    const at = number * stride
    for (let i = 0; i < width; i += 1) if (this.#rows[at + i] !== row[i]) return false
    return true
  }

  #grow(): void {
    const rows = new Uint32Array(this.#index.length * stride)
    rows.set(this.#rows)
    this.#rows = rows
    this.#index = new Uint32Array(this.#index.length * 2)
    for (let i = 0; i < this.#size; i += 1) this.#index[this.#bucket(this.at(i))] = i + 1
  }
}

function hash(row: Row): number {
  let hashed = 0
  for (const number of row) {
    hashed = Math.imul(hashed ^ number, 0x9e3779b1)
    hashed ^= hashed >>> 15
  }
  hashed = Math.imul(hashed, 0x85ebca6b)
  return hashed ^ (hashed >>> 13)
}
