import type { Endpoint } from '@flotilla/node/endpoint-port'
import type { Log } from '@flotilla/node/log'
import type { Metrics } from '@flotilla/node/metrics'
import type { PolicySource } from '@flotilla/node/policy'
import type { Scope } from '@flotilla/node/scope'
import type { Store } from '@flotilla/node/store/port'
import { figureOf, watchTurns } from './active.ts'
import { createIntake } from './intake.ts'
import { sourceMetrics } from './metrics.ts'
import { natsSession } from './nats.ts'
import { redisSession } from './redis.ts'
import type { Source } from './schema.ts'
import { runSource } from './session.ts'

export interface SourcesDeps {
  readonly endpoint: Endpoint
  readonly store: Store
  readonly memberId: string
  readonly log: Log
  readonly scope: Scope
  readonly metrics: Metrics
  readonly policy: PolicySource
}
export interface Sources {
  /** Takes no message more, and finishes what was taken as far as the time of a drain allows. */
  close(): Promise<void>
}

/** Starts every source; whether one is away is no concern of the process's readiness. */
export function startSources(sources: readonly Source[], deps: SourcesDeps): Sources {
  if (sources.length === 0) return { close: () => Promise.resolve() }
  const { endpoint, store, memberId, scope, policy } = deps
  const metrics = sourceMetrics(deps.metrics)
  const turns = watchTurns(store.fleet, () => endpoint.boot, scope)
  const runs = sources.map((source) => {
    const log = deps.log.child({ source: source.name })
    return runSource({
      source,
      run: source.type === 'nats' ? natsSession(source) : redisSession(source),
      intake: createIntake(source, { endpoint, log, metrics, policy }),
      log,
      metrics,
      memberId,
      isMine: () => !source.ordered || turns.isMine(source.name),
    })
  })
  return {
    close: async () => {
      await Promise.all(runs.map((each) => each.close()))
    },
  }
}

/** What the member's record says, so that the others know whose turn it is. */
export function sourceFigures(sources: readonly Source[]): Readonly<Record<string, number>> {
  return Object.fromEntries(sources.map(({ name }) => [figureOf(name), 1]))
}
