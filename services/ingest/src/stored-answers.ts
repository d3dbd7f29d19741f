import type { Reply } from './answers.ts'

/** An answer is given again for this long, ms. */
export const answerWindowMs = 600_000
/** What all of them may take, characters of their texts and keys. Beyond it the oldest are forgotten. */
const maxStoredChars = 33_554_432
/** What one takes besides its texts, as counted above. */
const charsPerAnswer = 256

/** What a request begins as whose key was, or was not, seen before. */
export type Begun =
  | { readonly type: 'new' }
  /** Its twin is being answered. */
  | { readonly type: 'underWay' }
  /** The key came with another body. */
  | { readonly type: 'reused' }
  | { readonly type: 'answered'; readonly reply: Reply }

/**
 * How a request ends: with an answer that stays the answer, as one whose outcome is open (the same body may try again, no other may take the
 * key), or as one that has done nothing.
 */
export type Ended =
  | { readonly type: 'answer'; readonly reply: Reply }
  | { readonly type: 'open' }
  | { readonly type: 'nothing' }

/** The answers to requests with an `Idempotency-Key`, for as long as they are given again; of this process. */
export interface StoredAnswers {
  begin(key: string, fingerprint: string): Begun
  /** Once for every `begin` that was `new`. */
  end(key: string, ended: Ended): void
  /** Keys that are remembered. */
  readonly size: number
}

interface Stored {
  readonly fingerprint: string
  /** null: the outcome is open. */
  readonly reply: Reply | null
  readonly untilMs: number
  readonly chars: number
}

export function createStoredAnswers(
  limits: { readonly windowMs?: number; readonly maxChars?: number; readonly now?: () => number } = {},
): StoredAnswers {
  const { windowMs = answerWindowMs, maxChars = maxStoredChars, now = () => performance.now() } = limits
  /** In order of time, which is the order of forgetting. */
  const stored = new Map<string, Stored>()
  /** Fingerprints of the requests under way, by key: as many as requests may be. */
  const underWay = new Map<string, string>()
  let chars = 0

  const forget = (key: string): void => {
    chars -= stored.get(key)?.chars ?? 0
    stored.delete(key)
  }
  const makeRoom = (): void => {
    const nowMs = now()
    for (const [key, { untilMs }] of stored) {
      if (untilMs > nowMs && chars <= maxChars) return
      forget(key)
    }
  }
  return {
    begin: (key, fingerprint) => {
      makeRoom()
      const twin = underWay.get(key) ?? stored.get(key)?.fingerprint
      if (twin !== undefined && twin !== fingerprint) return { type: 'reused' }
      if (underWay.has(key)) return { type: 'underWay' }
      const reply = stored.get(key)?.reply
      if (reply !== undefined && reply !== null) return { type: 'answered', reply }
      underWay.set(key, fingerprint)
      return { type: 'new' }
    },
    end: (key, ended) => {
      const fingerprint = underWay.get(key)
      underWay.delete(key)
      // What was open stays so when its repetition did nothing: the first may still have.
      if (fingerprint === undefined || ended.type === 'nothing') return
      forget(key)
      const reply = ended.type === 'answer' ? ended.reply : null
      const size = key.length + fingerprint.length + (reply?.text.length ?? 0) + charsPerAnswer
      stored.set(key, { fingerprint, reply, untilMs: now() + windowMs, chars: size })
      chars += size
      makeRoom()
    },
    get size() {
      return stored.size + underWay.size
    },
  }
}
