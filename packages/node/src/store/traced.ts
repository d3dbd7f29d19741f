import type { SlotCommit } from '@flotilla/core/commit'
import { tracesInLog } from '../trace-context.ts'
import type { Tracing } from '../tracing.ts'
import type { Store } from './port.ts'

interface Carried {
  readonly slot: number
  readonly traceparent: string
}

/**
 * A store whose commits are parts of the traces of the events that they hold: one span for each, with links to the others of its batch, and to
 * control's span for the plan by which this worker commits.
 */
export function tracedStore(store: Store, tracing: Tracing): Store {
  if (!tracing.on) return store
  let plan: readonly string[] = []
  return {
    ...store,
    fleet: {
      ...store.fleet,
      heartbeat: async (member, planVersion) => {
        const answer = await store.fleet.heartbeat(member, planVersion)
        if (answer.plan?.trace !== undefined) plan = [answer.plan.trace]
        return answer
      },
    },
    slots: {
      ...store.slots,
      commit: async (lane, commits, run) => {
        const carried = commits.flatMap(carriedBy)
        if (carried.length === 0) return store.slots.commit(lane, commits, run)
        const spans = carried.map(({ slot, traceparent }) =>
          tracing.begin('commit', {
            kind: 'client',
            parent: traceparent,
            links: [
              ...carried.flatMap((each) => (each.traceparent === traceparent ? [] : [each.traceparent])),
              ...plan,
            ],
            attributes: { 'flotilla.lane': lane, 'flotilla.slot': slot, 'flotilla.batch.slots': commits.length },
          }),
        )
        try {
          const reply = await store.slots.commit(lane, commits, run)
          const bad = reply.statuses.find((status) => status !== 'ok')
          for (const span of spans) span?.end({ 'flotilla.commit.status': bad ?? 'ok' }, bad)
          return reply
        } catch (error) {
          for (const span of spans) span?.end({}, error instanceof Error ? error.message : String(error))
          throw error
        }
      },
    },
  }
}

const carriedBy = ({ slot, logs }: SlotCommit): readonly Carried[] =>
  logs.flatMap(({ body }) => tracesInLog(body).map((traceparent) => ({ slot, traceparent })))
