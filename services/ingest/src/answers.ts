import { STATUS_CODES } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { EventAnswer, Refusal } from './publish.ts'
import { knownCode, statuses } from './routes.ts'

/** An answer as it is sent, and may be sent again. */
export interface Reply {
  readonly status: number
  readonly type: string
  readonly text: string
  readonly retryAfterMs?: number | undefined
}

/** Problem+json (RFC 9457) with the fleet's code, the id to retry with and what became of each room. */
function problemBody(refusal: Refusal): Readonly<Record<string, unknown>> {
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

export function problemReply(refusal: Refusal): Reply {
  return {
    status: statuses[knownCode(refusal.code)],
    type: 'application/problem+json',
    text: JSON.stringify(problemBody(refusal)),
    retryAfterMs: refusal.retryAfterMs,
  }
}

export function eventReply(answer: EventAnswer): Reply {
  if (!answer.ok) return problemReply(answer)
  return { status: 202, type: 'application/json', text: JSON.stringify({ id: answer.id, results: answer.results }) }
}

/** 200 whatever became of the items: each has its own status. */
export function batchReply(answers: readonly EventAnswer[]): Reply {
  const results = answers.map((answer) =>
    answer.ok ? { status: 202, id: answer.id, results: answer.results } : problemBody(answer),
  )
  return { status: 200, type: 'application/json', text: JSON.stringify({ results }) }
}

export function sendProblem(res: ServerResponse, refusal: Refusal): void {
  sendReply(res, problemReply(refusal))
}

export function sendReply(res: ServerResponse, { status, type, text, retryAfterMs }: Reply): void {
  // Rounded up: a client that waits for the header's whole seconds must not come too early.
  if (retryAfterMs !== undefined) res.setHeader('Retry-After', Math.ceil(retryAfterMs / 1_000))
  const length = Buffer.byteLength(text)
  const contentType = `${type}; charset=utf-8`
  res.writeHead(status, ['Cache-Control', 'no-store', 'Content-Type', contentType, 'Content-Length', `${length}`])
  res.end(text)
}
