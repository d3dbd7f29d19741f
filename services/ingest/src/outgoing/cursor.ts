/** How far the log of events of a slot was read: incarnation of the slot, life of the log, seq (core/position.ts). */
export interface Place {
  readonly inc: number
  readonly tag: number
  readonly seq: number
}
/** By slot; of a slot that is not there nothing was read. */
export type Places = ReadonlyMap<number, Place>

const version = 1
const base = 128

/**
 * The places as a text for whoever reads on with it: numbers of 7 bits per byte, version, count of slots, then per slot how many were
 * left out before it and its place. Up to 18 characters for each slot that has had events.
 */
export function encodeCursor(places: Places, slots: number): string {
  const numbers = [version, slots]
  let before = -1
  for (const [slot, { inc, tag, seq }] of [...places].toSorted(([a], [b]) => a - b)) {
    numbers.push(slot - before - 1, inc, tag, seq)
    before = slot
  }
  return Buffer.from(numbers.flatMap(bytesOf)).toString('base64url')
}

/** Undefined when it is not one of a fleet of so many slots. */
export function decodeCursor(text: string, slots: number): Places | undefined {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text) return undefined
  const numbers = numbersOf(bytes)
  if (numbers?.[0] !== version || numbers[1] !== slots || numbers.length % 4 !== 2) return undefined
  const places = new Map<number, Place>()
  let before = -1
  for (let i = 2; i < numbers.length; i += 4) {
    const [skipped = 0, inc = 0, tag = 0, seq = 0] = numbers.slice(i, i + 4)
    before += skipped + 1
    places.set(before, { inc, tag, seq })
  }
  return before < slots ? places : undefined
}

function bytesOf(value: number): readonly number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / base)) {
    if (rest < base) return [...bytes, rest]
    bytes.push((rest % base) + base)
  }
}

/** Undefined when one of them has no end, or is larger than a number can be. */
function numbersOf(bytes: Uint8Array): readonly number[] | undefined {
  const numbers: number[] = []
  let [value, scale] = [0, 1]
  for (const byte of bytes) {
    value += (byte % base) * scale
    if (!Number.isSafeInteger(value)) return undefined
    if (byte >= base) scale *= base
    else {
      numbers.push(value)
      ;[value, scale] = [0, 1]
    }
  }
  return scale === 1 ? numbers : undefined
}
