import { startElection, stepElection, takeEpochs } from '@flotilla/core/lease'
import type { ElectionEffect, ElectionInput } from '@flotilla/core/lease'
import type { Log } from '@flotilla/node/log'
import type { Scope } from '@flotilla/node/scope'
import type { Store } from '@flotilla/node/store/port'
import { releasedLeaseMs } from '../leadership.ts'
import type { Leadership } from '../leadership.ts'
import type { ControlMetrics } from '../metrics.ts'
import type { Leases } from './leases.ts'

/** How often the election is looked at; it asks the API once a second. */
const tickMs = 100

interface LeadershipDeps {
  readonly store: Pick<Store, 'fleet' | 'shape'>
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
  const state = startElection(boot, Math.floor(Date.now() / 1_000), store.shape.slots)
  let underWay: Promise<void> = Promise.resolve()
  let ending = false
  let failing = false

  function step(input: ElectionInput): void {
    const before = state.term
    const effects = stepElection(state, input, performance.now())
    if (state.term !== before)
      log.info(state.term === null ? 'lost the Lease' : 'holds the Lease', { term: state.term })
    // What was under way at the end is still heard of: it says what there is to give up.
    if (ending || scope.signal.aborted) return
    for (const effect of effects) underWay = execute(effect).then(step)
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

  /** The store counts too: of a Lease that was lost and its counter one remembers. What the Lease does not name is not used. */
  async function nextEpoch(above: number, count: number): Promise<number | undefined> {
    const counted = await store.fleet.nextEpoch(boot, Math.max(above, state.epochs.next - 1), count)
    const first = takeEpochs(state, counted - 1, count)
    if (first === undefined) step({ type: 'wanted', above: counted - 1, count })
    return first
  }

  /** Only what is still this process's own: its version says so. */
  async function giveUp(): Promise<void> {
    const lease = state.seen?.lease
    if (lease?.holder !== boot) return
    if ((await leases.replace({ ...lease, holder: '' }, lease.version)) !== 'conflict') return
    // The answer to its last renewal may not have come.
    const found = await leases.read()
    if (found?.holder === boot) await leases.replace({ ...found, holder: '' }, found.version)
  }

  const cancel = scope.every(tickMs, () => step({ type: 'tick' }))
  step({ type: 'tick' })
  return {
    lead: (ttlMs) => (state.term === null ? Promise.resolve(false) : store.fleet.lead(boot, ttlMs, state.term)),
    nextEpoch,
    release: async () => {
      ending = true
      cancel()
      await underWay
      const { term } = state
      if (term === null) return
      const ended = await Promise.allSettled([giveUp(), store.fleet.lead(boot, releasedLeaseMs, term)])
      for (const each of ended) if (each.status === 'rejected') throw each.reason
    },
  }
}

async function ask(leases: Leases, effect: ElectionEffect): Promise<ElectionInput> {
  if (effect.type === 'read') return { type: 'found', lease: await leases.read() }
  const answer =
    effect.type === 'create' ? await leases.create(effect.lease) : await leases.replace(effect.lease, effect.version)
  return answer === 'conflict' ? { type: 'conflict' } : { type: 'written', lease: answer }
}
