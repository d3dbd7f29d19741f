/** At most `limit` tasks at a time; the others wait in order. */
export function createTurns(limit: number): <T>(task: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = []
  let running = 0
  return async (task) => {
    if (running < limit) running += 1
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await task()
    } finally {
      // A place that becomes free is handed to who waits longest.
      const next = waiting.shift()
      if (next === undefined) running -= 1
      else next()
    }
  }
}
