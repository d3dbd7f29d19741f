import { PublishRefusedError, PublishUnknownError, TimeoutError } from '@flotilla/client'
import type { Client } from '@flotilla/client'
import type { Position } from '@flotilla/client'
import { wait } from '@flotilla/node/backoff'
import { ingestKey } from '../fleet/fleet.ts'
import type { Message } from './rooms.ts'

/** A publish that nobody answered is repeated under its key for this long, ms: well within the dedupe window. */
const keepTryingMs = 90_000
/** After an error that names no time, ms. */
const retryMs = 200
const retryable = new Set(['OVERLOADED', 'UNKNOWN', 'RATE_LIMITED', 'INTERNAL_ERROR'])

export type Told = (message: Message, position: Position) => void

/** What publishers met besides `ok`, by code. */
export type Refusals = Map<string, number>
const count = (refusals: Refusals, code: string): void => void refusals.set(code, (refusals.get(code) ?? 0) + 1)

/** Publishes through a client until it is acknowledged. Rejects when it is refused for good or the time is over. */
export async function publishAs(client: Client, message: Message, refusals: Refusals): Promise<Position> {
  const deadline = performance.now() + keepTryingMs
  for (;;) {
    try {
      const options = { key: message.name, timeoutMs: 30_000 }
      return (await client.publish(message.room, 'e2e', { message: message.name }, options)).position
    } catch (error) {
      const again = error instanceof PublishUnknownError || error instanceof TimeoutError
      const code = error instanceof PublishRefusedError ? error.code : String(error)
      if (!again || performance.now() > deadline) throw new Error(`${message.name}: ${code}`, { cause: error })
      count(refusals, error.code)
    }
  }
}

interface ItemAnswer {
  readonly status: number
  readonly code?: string
  readonly retryAfterMs?: number
  readonly results?: readonly { readonly position?: Position }[]
}

/** Posts a batch, and again what was not accepted, until everything is. */
export async function postBatch(
  port: number,
  batch: readonly Message[],
  told: Told,
  refusals: Refusals,
): Promise<void> {
  const deadline = performance.now() + keepTryingMs
  let left = batch
  while (left.length > 0) {
    if (performance.now() > deadline) throw new Error(`${left.length} events were not accepted: ${left[0]?.name}, …`)
    const answers = await post(port, left, refusals)
    let waitMs = answers === undefined ? retryMs : 0
    left = left.filter((message, i) => {
      const answer = answers?.[i]
      const position = answer?.results?.[0]?.position
      if (answer?.status === 202 && position !== undefined) {
        told(message, position)
        return false
      }
      if (answer !== undefined) {
        if (!retryable.has(answer.code ?? '')) throw new Error(`${message.name} was refused: ${JSON.stringify(answer)}`)
        count(refusals, answer.code ?? '')
        waitMs = Math.max(waitMs, Math.min(answer.retryAfterMs ?? retryMs, 2_000))
      }
      return true
    })
    if (left.length > 0) await wait(waitMs)
  }
}

/** Undefined when there was no answer, or none that says anything about the items. */
async function post(
  port: number,
  batch: readonly Message[],
  refusals: Refusals,
): Promise<readonly ItemAnswer[] | undefined> {
  const events = batch.map(({ name, room }) => ({ room, event: 'e2e', data: { message: name }, id: name }))
  try {
    const response = await fetch(`http://127.0.0.1:${port}/v1/events/batch`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ingestKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ events }),
      signal: AbortSignal.timeout(20_000),
    })
    const body = (await response.json()) as { results?: readonly ItemAnswer[] }
    if (response.status === 200 && body.results !== undefined) return body.results
    if (response.status < 500) throw new TypeError(`the batch was answered ${response.status}: ${JSON.stringify(body)}`)
    count(refusals, `HTTP ${response.status}`)
  } catch (error) {
    if (error instanceof TypeError && error.message.startsWith('the batch')) throw error
    count(refusals, 'no answer')
  }
  return undefined
}
