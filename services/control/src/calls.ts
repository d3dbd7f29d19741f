import type { ControlEffect, ControlInput } from '@flotilla/core/control'
import type { Log } from '@flotilla/node/log'
import type { Store } from '@flotilla/node/store/port'
import type { Tracing } from '@flotilla/node/tracing'
import type { Leadership } from './leadership.ts'
import type { ControlMetrics } from './metrics.ts'

interface CallDeps {
  readonly store: Store
  readonly log: Log
  readonly metrics: ControlMetrics
  readonly leadership: Leadership
  readonly tracing: Tracing
}
type Call = 'lead' | 'read' | 'epochs' | 'publish' | 'remove'
type Effect<T extends ControlEffect['type']> = Extract<ControlEffect, { type: T }>

/** Executes effects. The result never rejects: a call that failed is an input too. */
export function createCalls(boot: string, { store, log, metrics, leadership, tracing }: CallDeps) {
  let failing = false

  async function attempt<T extends ControlInput | undefined>(
    call: Call,
    ask: () => Promise<T>,
    failure: T,
  ): Promise<T> {
    try {
      const input = await ask()
      if (failing) log.info('the store answers again')
      failing = false
      return input
    } catch (error) {
      metrics.failures.inc({ call })
      // Once per outage: it is asked several times a second.
      if (!failing) log.warn('the store does not answer', { call, err: error })
      failing = true
      return failure
    }
  }

  async function lead({ ttlMs }: Effect<'lead'>): Promise<ControlInput> {
    return { type: 'led', leading: await leadership.lead(ttlMs) }
  }

  async function read(): Promise<ControlInput> {
    return { type: 'observed', ...(await store.fleet.read()) }
  }

  async function issueEpochs({ above, count }: Effect<'issueEpochs'>): Promise<ControlInput> {
    const first = await leadership.nextEpoch(above, count)
    return first === undefined ? { type: 'noEpochs' } : { type: 'epochs', first, count }
  }

  async function publish({ plan, moves }: Effect<'publish'>): Promise<ControlInput> {
    const attributes = { 'flotilla.plan.version': plan.version, 'flotilla.plan.moves': moves.length }
    const span = moves.length === 0 ? undefined : tracing.begin('plan', { kind: 'internal', attributes })
    const traced = span === undefined ? plan : { ...plan, trace: span.traceparent }
    const ok = await store.fleet.publishPlan(boot, traced).catch((error: unknown) => {
      span?.end({}, error instanceof Error ? error.message : String(error))
      throw error
    })
    span?.end({}, ok ? undefined : 'refused')
    if (ok && moves.length > 0) {
      for (const { reason } of moves) metrics.moves.inc({ reason })
      log.info('slots moved', { version: plan.version, slots: moves.length, moves })
    }
    return { type: 'published', ok }
  }

  /** The record goes last: as long as it is there the removal is repeated. */
  async function remove({ boot: gone, role, left }: Effect<'remove'>): Promise<undefined> {
    if (role === 'edge' || role === 'ingest') await store.outboxes.remove(gone)
    await store.fleet.remove(gone)
    metrics.removals.inc({ role })
    if (left) log.debug('what a member left is removed', { member: gone, role })
    else log.warn('dead member removed', { member: gone, role })
  }

  return (effect: ControlEffect): Promise<ControlInput | undefined> => {
    switch (effect.type) {
      case 'lead':
        return attempt<ControlInput>('lead', () => lead(effect), { type: 'leadFailed' })
      case 'read':
        return attempt<ControlInput>('read', read, { type: 'readFailed' })
      case 'issueEpochs':
        return attempt<ControlInput>('epochs', () => issueEpochs(effect), { type: 'epochsFailed' })
      case 'publish':
        return attempt<ControlInput>('publish', () => publish(effect), { type: 'publishFailed' })
      case 'remove':
        return attempt<undefined>('remove', () => remove(effect), undefined)
    }
  }
}
