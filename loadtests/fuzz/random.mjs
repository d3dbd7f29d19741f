/** A seeded generator (sfc32): the same seed makes the same inputs. */
export function createRandom(seed) {
  let [a, b, c, d] = [0x9e3779b9, 0x243f6a88, 0xb7e15162, seed ^ 0xdeadbeef]
  const next = () => {
    const t = (((a + b) | 0) + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + t
    c |= 0
    return (t >>> 0) / 4_294_967_296
  }
  for (let i = 0; i < 16; i += 1) next()
  const int = (min, max) => min + Math.floor(next() * (max - min + 1))
  const pick = (items) => items[int(0, items.length - 1)]
  return {
    int,
    pick,
    chance: (probability) => next() < probability,
    /** One of `[weight, value]`. */
    weighted: (rows) => {
      let left = next() * rows.reduce((sum, [weight]) => sum + weight, 0)
      return (rows.find(([weight]) => (left -= weight) < 0) ?? rows.at(-1))[1]
    },
    /** So many random bytes. */
    bytes: (length) => Buffer.from(Array.from({ length }, () => int(0, 255))),
  }
}
