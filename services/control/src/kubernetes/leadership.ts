import { startElection, stepElection, takeEpochs } from '@flotilla/core/lease'
import type { Election, ElectionEffect, ElectionInput } from '@flotilla/core/lease'
import { wait } from '@flotilla/node/backoff'
import type { Log } from '@flotilla/node/log'
import type { Scope } from '@flotilla/node/scope'
import type { Store } from '@flotilla/node/store/port'
import { releasedLeaseMs } from '../leadership.ts'
import type { Leadership } from '../leadership.ts'
import type { ControlMetrics } from '../metrics.ts'
import type { Leases } from './leases.ts'

/** How often the election is looked at; it asks the API once a second. */
const tickMs = 100
/** Epochs that are not in hand are awaited for so long, ms. */
const epochsWithinMs = 2_000

interface LeadershipDeps {
  readonly store: Pick<Store, 'fleet'>
  readonly leases: Leases
  readonly log: Log
  readonly scope: Scope
  readonly metrics: Pick<ControlMetrics, 'apiFailures'>
}

/**
 * A Lease says who leads, the store takes plans of its holder only: of two that lead the one of the higher term. While the API is away its
 * holder goes on with the epochs that it has in hand.
 */
export function kubernetesLeadership(boot: string, deps: LeadershipDeps): Leadership {
  const { store, leases, log, scope, metrics } = deps
  const state = startElection(boot, Math.floor(Date.now() / 1_000))
  let underWay: Promise<void> = Promise.resolve()
  let released = false
  let failing = false

  function step(input: ElectionInput): void {
    if (released || scope.signal.aborted) return
    const before = state.term
    for (const effect of stepElection(state, input, performance.now())) underWay = execute(effect).then(step)
    if (state.term !== before)
      log.info(state.term === null ? 'lost the Lease' : 'holds the Lease', { term: state.term })
  }

  async function execute(effect: ElectionEffect): Promise<ElectionInput> {
    try {
      const input = await ask(leases, effect)
      if (failing) log.info('the Kubernetes API answers again')
      failing = false
      return input
    } catch (error) {
      metrics.apiFailures.inc({ call: 'lease' })
      // Once per outage: it is asked every second.
      if (!failing) log.warn('the Kubernetes API does not answer', { call: `lease ${effect.type}`, err: error })
      failing = true
      return { type: 'failed' }
    }
  }

  const cancel = scope.every(tickMs, () => step({ type: 'tick' }))
  step({ type: 'tick' })
  return {
    lead: (ttlMs) => (state.term === null ? Promise.resolve(false) : store.fleet.lead(boot, ttlMs, state.term)),
    nextEpoch: (above, count) => epochsOf(state, { above, count }, () => step({ type: 'wanted', above, count })),
    release: async () => {
      const { term, seen } = state
      released = true
      cancel()
      await underWay
      if (term === null) return
      await store.fleet.lead(boot, releasedLeaseMs, term)
      // Only what is still this process's own: its version says so.
      if (seen?.lease.holder === boot) await leases.replace({ ...seen.lease, holder: '' }, seen.lease.version)
    },
  }
}

async function ask(leases: Leases, effect: ElectionEffect): Promise<ElectionInput> {
  if (effect.type === 'read') return { type: 'found', lease: await leases.read() }
  const answer =
    effect.type === 'create' ? await leases.create(effect.lease) : await leases.replace(effect.lease, effect.version)
  return answer === 'conflict' ? { type: 'conflict' } : { type: 'written', lease: answer }
}

async function epochsOf(
  state: Election,
  { above, count }: { readonly above: number; readonly count: number },
  want: () => void,
): Promise<number> {
  const untilMs = performance.now() + epochsWithinMs
  for (;;) {
    const first = takeEpochs(state, above, count)
    if (first !== undefined) return first
    if (performance.now() > untilMs)
      throw new Error(`${count} epochs above ${above} were not in hand within ${epochsWithinMs} ms`)
    want()
    await wait(tickMs)
  }
}
