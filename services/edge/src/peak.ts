import { performance } from 'node:perf_hooks'

/** The greatest of what came within the last span and the one before. Looking at it changes nothing: a look may be for a heartbeat that fails. */
export interface Peak {
  note(value: number): void
  readonly value: number
}

export function createPeak(spanMs = 1_000): Peak {
  let sinceMs = performance.now()
  let [greatest, before] = [0, 0]
  const turn = (): void => {
    const ageMs = performance.now() - sinceMs
    if (ageMs < spanMs) return
    ;[before, greatest] = [ageMs < 2 * spanMs ? greatest : 0, 0]
    sinceMs += ageMs
  }
  return {
    note: (value) => {
      turn()
      greatest = Math.max(greatest, value)
    },
    get value() {
      turn()
      return Math.max(greatest, before)
    },
  }
}
