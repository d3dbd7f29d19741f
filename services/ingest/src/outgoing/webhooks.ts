import type { Endpoint } from '@flotilla/node/endpoint-port'
import type { Log } from '@flotilla/node/log'
import type { Metrics } from '@flotilla/node/metrics'
import type { Scope } from '@flotilla/node/scope'
import type { Store } from '@flotilla/node/store/port'
import { watchTurns } from '../sources/active.ts'
import { webhookMetrics } from './metrics.ts'
import type { OutgoingReader } from './reader.ts'
import type { Webhook } from './webhook-file.ts'
import { runWebhook } from './webhook.ts'
import type { WebhookDeps } from './webhook.ts'

export interface WebhooksDeps {
  readonly endpoint: Pick<Endpoint, 'boot'>
  readonly store: Store
  readonly reader: OutgoingReader
  readonly log: Log
  readonly scope: Scope
  readonly metrics: Metrics
  readonly retryMs?: WebhookDeps['retryMs'] | undefined
}
export interface Webhooks {
  /** Sends nothing more, and hears out what is under way as far as the time of a drain allows. */
  close(): Promise<void>
}

/** What a member's record says of a webhook that it has. */
const figureOf = (webhook: string): string => `webhook.${webhook}`

/** Starts to send to every webhook whose turn is this process's; whether one takes anything is no concern of the process's readiness. */
export function startWebhooks(webhooks: readonly Webhook[], deps: WebhooksDeps): Webhooks {
  if (webhooks.length === 0) return { close: () => Promise.resolve() }
  const { endpoint, store, reader, scope, retryMs } = deps
  const metrics = webhookMetrics(deps.metrics)
  const turns = watchTurns(store.fleet, () => endpoint.boot, scope, figureOf)
  const runs = webhooks.map((webhook) =>
    runWebhook({
      ...{ webhook, reader, metrics, places: store.places, slots: store.shape.slots },
      ...(retryMs === undefined ? {} : { retryMs }),
      log: deps.log.child({ webhook: webhook.name }),
      isMine: () => turns.isMine(webhook.name),
    }),
  )
  return {
    close: async () => {
      await Promise.all(runs.map((each) => each.close()))
    },
  }
}

/** What the member's record says, so that the others know whose turn it is. */
export const webhookFigures = (webhooks: readonly Webhook[]): Readonly<Record<string, number>> =>
  Object.fromEntries(webhooks.map(({ name }) => [figureOf(name), 1]))
