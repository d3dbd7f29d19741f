/** What was answered lately, and who waits for an answer that somebody else asked for already. */
export interface Answers<T> {
  /** `ask` is called when nothing is known, and nobody asks. `validMs` of what it resolves with: how long that is remembered. */
  get(key: string, ask: () => Promise<Answer<T>>): Promise<Answer<T>>
  readonly size: number
}
export interface Answer<T> {
  readonly value: T
  readonly validMs: number
}

/** Answers that are remembered; the least recently used ones go first. */
const maxAnswers = 50_000

export function createAnswers<T>(max = maxAnswers): Answers<T> {
  const known = new Map<string, { readonly value: T; readonly untilMs: number }>()
  const asked = new Map<string, Promise<Answer<T>>>()

  async function ask(key: string, first: () => Promise<Answer<T>>): Promise<Answer<T>> {
    try {
      const answer = await first()
      if (answer.validMs > 0) {
        known.set(key, { value: answer.value, untilMs: performance.now() + answer.validMs })
        const [oldest] = known.keys()
        if (known.size > max && oldest !== undefined) known.delete(oldest)
      }
      return answer
    } finally {
      asked.delete(key)
    }
  }

  return {
    get: (key, first) => {
      const found = known.get(key)
      const leftMs = found === undefined ? 0 : found.untilMs - performance.now()
      known.delete(key)
      if (found !== undefined && leftMs > 0) {
        known.set(key, found)
        return Promise.resolve({ value: found.value, validMs: leftMs })
      }
      const underWay = asked.get(key) ?? ask(key, first)
      asked.set(key, underWay)
      return underWay
    },
    get size() {
      return known.size
    },
  }
}
