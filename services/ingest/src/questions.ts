import type { AnswerRecord, AskMessage } from '@flotilla/core/ask-entry'
import type { OutRecord } from '@flotilla/core/entry'
import type { PresenceRecord, QueryMessage } from '@flotilla/core/member-entry'
import { wait } from '@flotilla/node/backoff'
import type { Endpoint } from '@flotilla/node/endpoint-port'

/** Time for a worker to answer, ms: longer than a take-over. */
const answerWithinMs = 8_000
/** Questions that may be under way. */
const maxQuestions = 1_000

export type Question = Omit<QueryMessage, 'nonce'> | Omit<AskMessage, 'nonce'>
export type Answer = PresenceRecord | AnswerRecord

/** Asks workers what they know of rooms, each by a question with a number of its own. */
export interface Questions {
  onRecords(records: readonly OutRecord[]): void
  /** A query is answered by a `presence` record, the others by `answer`. Undefined: no answer can be had now. */
  ask(question: Question): Promise<Answer | undefined>
}

export function createQuestions(endpoint: () => Pick<Endpoint, 'tell'>): Questions {
  const waiting = new Map<string, (answer: Answer) => void>()
  let asked = 0
  return {
    onRecords: (records) => {
      for (const record of records)
        if (record.type === 'presence' || record.type === 'answer') waiting.get(record.nonce)?.(record)
    },
    ask: async (question) => {
      if (waiting.size >= maxQuestions) return undefined
      const nonce = String((asked += 1))
      const late = new AbortController()
      try {
        return await Promise.race([
          new Promise<Answer>((resolve) => {
            waiting.set(nonce, resolve)
            if (!endpoint().tell({ ...question, nonce })) late.abort()
          }),
          wait(answerWithinMs, late.signal).then(
            () => undefined,
            () => undefined,
          ),
        ])
      } finally {
        waiting.delete(nonce)
        late.abort()
      }
    },
  }
}
