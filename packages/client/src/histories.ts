import { FlotillaError } from './errors.ts'
import type { Kind, Requests } from './requests.ts'
import { fieldsOf, noAnswer } from './wire.ts'
import type { PageFrame } from './wire.ts'

/** Which page of what a room keeps: what is before a seq, after one, or the newest there is. */
export interface HistoryOptions {
  readonly before?: number
  readonly after?: number
  /** Events of the page at the most, 1 to 100; 100 when it is left out. A page of large events is shorter. */
  readonly limit?: number
  /** Rejects with `TimeoutError` after this, ms; 20,000 when it is left out. */
  readonly timeoutMs?: number
}

/** A page, oldest first. The one before it is asked for with `before: first`, the one after it with `after: last`. */
export interface HistoryPage {
  readonly events: readonly {
    readonly seq: number
    readonly event: string
    readonly data: unknown
    readonly meta: PageFrame['events'][number]['meta']
  }[]
  /** What the page goes over, also events that were not for this user; null: there is nothing. */
  readonly first: number | null
  readonly last: number | null
  /** With a seq a position to subscribe from; undefined when the page is empty. */
  readonly epoch: string | undefined
}

export const historyKind: Kind = { type: 'history', maxInFlight: 4, repeats: true }
const defaultTimeoutMs = 20_000

export async function askPage(
  requests: Requests,
  room: string,
  { before, after, limit, timeoutMs = defaultTimeoutMs }: HistoryOptions,
): Promise<HistoryPage> {
  const fields = fieldsOf({ room, before, after, limit })
  const page = await requests.ask(fields, `the history of ${room} was not read`, timeoutMs)
  if (page.type !== 'history') throw new FlotillaError(noAnswer.code, noAnswer.message)
  const { events, first, last, epoch } = page
  return { events, first, last, epoch }
}
