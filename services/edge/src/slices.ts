import { performance } from 'node:perf_hooks'

/** Work that comes in crowds, done in order and a slice of time per turn of the event loop: whoever is served meanwhile waits no longer. */
export interface Slices {
  /** Done in this turn of the event loop or a later one, never before this returns. */
  add(work: () => void): void
}

/** `sliceMs`: after so long, and one piece of work at the least, the event loop is let turn. */
export function createSlices(sliceMs: number): Slices {
  let waiting: (() => void)[] = []

  function slice(): void {
    const untilMs = performance.now() + sliceMs
    let next = 0
    try {
      do waiting[next++]?.()
      while (next < waiting.length && performance.now() < untilMs)
    } finally {
      // What is done is let go of now. And after one that failed the others are not to wait for ever.
      waiting = waiting.slice(next)
      if (waiting.length > 0) setImmediate(slice)
    }
  }

  return {
    add: (work) => {
      if (waiting.length === 0) setImmediate(slice)
      waiting.push(work)
    },
  }
}
