import type { PlaceStore } from '@flotilla/node/store/port'
import { z } from 'zod'

const state = z.object({
  /** Everything up to here was delivered, passed over or put aside. */
  cursor: z.string(),
  /** Requests that failed, one after the other, and since when, ms since 1970; of those whose answer was not good, the last. */
  failures: z.number(),
  failingSinceMs: z.number().nullable(),
  lastError: z.string().nullable(),
  /** When events were delivered last, ms since 1970, and how many there were since the webhook began. */
  deliveredAtMs: z.number().nullable(),
  delivered: z.number(),
})
/** How far a webhook has got. */
export type WebhookState = z.infer<typeof state>

export interface KeptState {
  readonly version: number
  readonly state: WebhookState
}

const nameOf = (webhook: string): string => `webhook:${webhook}`

export const startAt = (cursor: string): WebhookState => ({
  ...{ cursor, failures: 0, failingSinceMs: null, lastError: null, deliveredAtMs: null, delivered: 0 },
})

/** Null: it never began. Rejects with a StoreError, or when what is kept is not of a form that this version knows. */
export async function readState(places: PlaceStore, webhook: string): Promise<KeptState | null> {
  const kept = await places.read(nameOf(webhook))
  if (kept === null) return null
  return { version: kept.version, state: state.parse(JSON.parse(kept.text)) }
}

/** Keeps it after the version given, 0: the first. False: somebody else has changed it. */
export function keepState(places: PlaceStore, webhook: string, { version, state: next }: KeptState): Promise<boolean> {
  return places.keep(nameOf(webhook), version, JSON.stringify(next))
}

export const putAside = (places: PlaceStore, webhook: string, body: object): Promise<void> =>
  places.putAside(nameOf(webhook), JSON.stringify(body))

export const readAside = (places: PlaceStore, webhook: string, count: number): ReturnType<PlaceStore['aside']> =>
  places.aside(nameOf(webhook), count)
