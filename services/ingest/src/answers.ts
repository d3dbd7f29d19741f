import { STATUS_CODES } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { EventAnswer } from './publish.ts'
import { knownCode, statuses } from './routes.ts'

type Refusal = Extract<EventAnswer, { ok: false }>

/** Problem+json (RFC 9457) with the fleet's code, the id to retry with and what became of each room. */
export function problemBody(refusal: Refusal): Readonly<Record<string, unknown>> {
  const code = knownCode(refusal.code)
  const { detail, id, retryAfterMs, results } = refusal
  return {
    type: 'about:blank',
    title: STATUS_CODES[statuses[code]] ?? 'Error',
    status: statuses[code],
    detail,
    code,
    ...(id === undefined ? {} : { id }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(results === undefined ? {} : { results }),
  }
}

export function sendProblem(res: ServerResponse, refusal: Refusal): void {
  // Rounded up: a client that waits for the header's whole seconds must not come too early.
  if (refusal.retryAfterMs !== undefined) res.setHeader('Retry-After', Math.ceil(refusal.retryAfterMs / 1_000))
  send(res, { status: statuses[knownCode(refusal.code)], type: 'application/problem+json', body: problemBody(refusal) })
}

export function sendEvent(res: ServerResponse, answer: EventAnswer): void {
  if (answer.ok) send(res, { status: 202, type: 'application/json', body: { id: answer.id, results: answer.results } })
  else sendProblem(res, answer)
}

/** 200 whatever became of the items: each has its own status. */
export function sendBatch(res: ServerResponse, answers: readonly EventAnswer[]): void {
  const results = answers.map((answer) =>
    answer.ok ? { status: 202, id: answer.id, results: answer.results } : problemBody(answer),
  )
  send(res, { status: 200, type: 'application/json', body: { results } })
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: unknown
}
function send(res: ServerResponse, { status, type, body }: Answer): void {
  const text = JSON.stringify(body)
  const length = Buffer.byteLength(text)
  const contentType = `${type}; charset=utf-8`
  res.writeHead(status, ['Cache-Control', 'no-store', 'Content-Type', contentType, 'Content-Length', `${length}`])
  res.end(text)
}
