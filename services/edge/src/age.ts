/** How old connections become. */
export interface AgeLimits {
  /** On average, ms; 0: however old they get. */
  readonly ageMs: number
  /** Who was told to move and is still here after so long is closed, ms. */
  readonly graceMs: number
}

/** What is known of one connection's age; changed by `stepAging` only. */
export interface Aging {
  /** When something is to be done with it. */
  dueAtMs: number
  told: boolean
}

/** Where there are fewer edges, little is gained by moving. */
const leastEdges = 3
/** Each has an age of its own, so that those who came together do not leave together. */
const jitter = 0.25

/** @param random in [0, 1). */
export function startAging({ ageMs }: AgeLimits, nowMs: number, random: number): Aging {
  return { dueAtMs: ageMs === 0 ? Infinity : nowMs + ageMs * (1 - jitter + 2 * jitter * random), told: false }
}

/** What is to be done with a connection now: nothing, tell it to move, or close it because it did not. */
export function stepAging(
  aging: Aging,
  { ageMs, graceMs }: AgeLimits,
  now: { readonly edges: number; readonly nowMs: number; readonly random: number },
): 'stay' | 'tell' | 'close' {
  if (now.nowMs < aging.dueAtMs) return 'stay'
  if (aging.told) return 'close'
  if (now.edges < leastEdges) {
    // Some time later again: when the third edge comes, not all that are old are to leave at once.
    aging.dueAtMs = now.nowMs + ageMs * now.random
    return 'stay'
  }
  aging.told = true
  aging.dueAtMs = now.nowMs + graceMs
  return 'tell'
}
