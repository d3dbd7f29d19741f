/**
 * A circuit before a service that may be away (docs/spec.md CB): after some failures in a row nobody asks it for a while, then one
 * question finds out; each that fails doubles the while. Changed in place.
 */
export interface Circuit {
  failures: number
  /** Ms of a monotonic clock. */
  openUntilMs: number
  /** One question is finding out. */
  probing: boolean
}

/** Failures in a row after which it opens, and for how long, ms: at first, and at the most. */
const failuresToOpen = 5
const openMs = 1_000
const maxOpenMs = 30_000

export function createCircuit(): Circuit {
  return { failures: 0, openUntilMs: 0, probing: false }
}

/** 0: ask now, and tell of the outcome. Else nobody asks for so long, ms. */
export function mayAsk(circuit: Circuit, nowMs: number): number {
  if (circuit.failures < failuresToOpen) return 0
  if (nowMs < circuit.openUntilMs) return circuit.openUntilMs - nowMs
  if (circuit.probing) return openMs
  circuit.probing = true
  return 0
}

export function succeeded(circuit: Circuit): void {
  circuit.failures = 0
  circuit.probing = false
}

/** Questions that were under way when it opened count as one. */
export function failed(circuit: Circuit, nowMs: number): void {
  const isOpen = circuit.failures >= failuresToOpen && nowMs < circuit.openUntilMs
  circuit.probing = false
  if (isOpen) return
  circuit.failures += 1
  const beyond = circuit.failures - failuresToOpen
  if (beyond >= 0) circuit.openUntilMs = nowMs + Math.min(maxOpenMs, openMs * 2 ** beyond)
}
