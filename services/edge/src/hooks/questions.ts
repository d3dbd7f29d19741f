import { maxWelcomeChars, maxWelcomeRooms } from '@flotilla/core/limits'
import type { Hook } from '@flotilla/core/policy-hooks'
import type { CallAnswer, HookAnswer } from '@flotilla/core/session-state'
import type { Log } from '@flotilla/node/log'
import type { Metrics } from '@flotilla/node/metrics'
import { z } from 'zod'
import type { Answer } from './answers.ts'
import type { Line, Outcome } from './line.ts'

/** Questions to services, one function for each kind; none of them rejects. */
export interface Questions {
  room(line: Line, question: object): Promise<Answer<HookAnswer>>
  connect(line: Line, question: object): Promise<Answer<HookAnswer>>
  call(line: Line, question: object): Promise<CallAnswer>
}

/** How long a failure counts for the same question, ms: so a client that retries at once does not add to it. */
export const failedMs = 1_000
const kinds = ['connect', 'room', 'call'] as const
type Kind = (typeof kinds)[number]
const outcomes = ['allowed', 'denied', 'answered', 'refused', 'failed'] as const

const roomAnswer = z.object({ allow: z.boolean() })
const connectAnswer = z.union([
  z.object({
    allow: z.literal(true),
    rooms: z.array(z.string().min(1).max(200)).max(maxWelcomeRooms).default([]),
    data: z
      .unknown()
      .refine((data) => (JSON.stringify(data)?.length ?? 0) <= maxWelcomeChars, { error: 'too much data' })
      .optional(),
  }),
  z.object({ allow: z.literal(false), reason: z.string().max(300).optional() }),
])
const callAnswer = z.union([
  z.object({ error: z.object({ code: z.string().min(1).max(64), message: z.string().max(300).default('') }) }),
  z.object({ result: z.unknown() }),
])

export function createQuestions({ log, metrics }: { readonly log: Log; readonly metrics: Metrics }): Questions {
  const counted = hookMetrics(metrics)
  const told = new Map<string, number>()

  async function ask(kind: Kind, line: Line, question: object): Promise<Outcome> {
    const startMs = performance.now()
    const outcome = await line.ask(JSON.stringify(question))
    counted.seconds.observe({ kind }, (performance.now() - startMs) / 1_000)
    if (outcome.type === 'failed') tell(line.hook, outcome.detail)
    return outcome
  }

  /** Once in a while: there may be thousands a second. */
  function tell({ url }: Hook, detail: string): void {
    const now = performance.now()
    if (now - (told.get(url) ?? -Infinity) < 10_000) return
    told.set(url, now)
    // The query may have a key in it.
    log.warn('a hook does not answer', { url: url.replace(/[?#].*/, ''), detail })
  }

  async function room(line: Line, question: object): Promise<Answer<HookAnswer>> {
    const outcome = await ask('room', line, question)
    const parsed = roomAnswer.safeParse(outcome.type === 'answered' ? outcome.value : undefined)
    if (!parsed.success) return failure('room', outcome)
    const { allow } = parsed.data
    counted.answers.inc({ kind: 'room', outcome: allow ? 'allowed' : 'denied' })
    const validMs = allow ? line.hook.allowMs : line.hook.denyMs
    return { value: { outcome: allow ? 'allow' : 'deny', validMs }, validMs }
  }

  async function connect(line: Line, question: object): Promise<Answer<HookAnswer>> {
    const outcome = await ask('connect', line, question)
    const parsed = connectAnswer.safeParse(outcome.type === 'answered' ? outcome.value : undefined)
    if (!parsed.success) return failure('connect', outcome)
    const answer = parsed.data
    counted.answers.inc({ kind: 'connect', outcome: answer.allow ? 'allowed' : 'denied' })
    const validMs = answer.allow ? line.hook.allowMs : line.hook.denyMs
    if (!answer.allow) return { value: { outcome: 'deny', validMs, reason: answer.reason }, validMs }
    const { rooms, data } = answer
    return { value: { outcome: 'allow', validMs, welcome: { rooms, data } }, validMs }
  }

  function failure(kind: Kind, outcome: Outcome): Answer<HookAnswer> {
    counted.answers.inc({ kind, outcome: 'failed' })
    const validMs = (outcome.type === 'failed' ? outcome.retryAfterMs : undefined) ?? failedMs
    return { value: { outcome: 'failed', validMs }, validMs: Math.min(validMs, failedMs) }
  }

  async function call(line: Line, question: object): Promise<CallAnswer> {
    const outcome = await ask('call', line, question)
    const parsed = callAnswer.safeParse(outcome.type === 'answered' ? outcome.value : undefined)
    if (!parsed.success) {
      counted.answers.inc({ kind: 'call', outcome: 'failed' })
      if (outcome.type === 'answered' || outcome.sent) return { outcome: 'unknown' }
      return { outcome: 'failed', retryAfterMs: outcome.retryAfterMs ?? failedMs }
    }
    const answer = parsed.data
    counted.answers.inc({ kind: 'call', outcome: 'error' in answer ? 'refused' : 'answered' })
    if (!('error' in answer)) return { outcome: 'result', data: answer.result ?? null }
    return { outcome: 'refused', reason: answer.error.code, message: answer.error.message }
  }

  return { room, connect, call }
}

function hookMetrics(metrics: Metrics) {
  return {
    answers: metrics.counter({
      name: 'flotilla_edge_hook_answers_total',
      help: 'Requests to hooks, by what they are asked about and what came of them',
      labels: ['kind', 'outcome'],
      series: kinds.flatMap((kind) => outcomes.map((outcome) => ({ kind, outcome }))),
    }),
    seconds: metrics.histogram({
      name: 'flotilla_edge_hook_seconds',
      help: 'Time from a question to a hook to its answer, with the time that it waited for its turn',
      labels: ['kind'],
    }),
  }
}
