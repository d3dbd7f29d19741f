import { costsToTell } from '@flotilla/core/deletion-cost'
import { idOf } from '@flotilla/core/control-members'
import type { Log } from '@flotilla/node/log'
import type { Scope } from '@flotilla/node/scope'
import type { Control } from '../control.ts'
import type { Api } from './client.ts'
import { deletionCost, watchPods } from './pods.ts'
import type { Pod } from './pods.ts'
import type { ControlMetrics } from '../metrics.ts'

/** KEP-2255: not continuously, as every write goes to whoever watches pods. */
const costsEveryMs = 60_000

interface PlatformDeps {
  readonly api: Api
  /** Of the fleet's pods. */
  readonly selector: string
  readonly control: Pick<Control, 'tell' | 'leading' | 'view'>
  readonly log: Log
  readonly scope: Scope
  readonly metrics: Pick<ControlMetrics, 'apiFailures'>
}

/** Tells control what becomes of pods, and the platform what it would cost to delete which edge. */
export function joinPlatform({ api, selector, control, log, scope, metrics }: PlatformDeps): void {
  let pods: ReadonlyMap<string, Pod> = new Map()
  const disrupted = new Set<string>()

  watchPods(
    {
      onPods: (now) => {
        pods = now
        for (const { name, uid, disruption, ...pod } of now.values()) {
          if (disruption === undefined || disrupted.has(uid)) continue
          disrupted.add(uid)
          log.info('a pod is evicted', { pod: name, component: pod.component, reason: disruption })
        }
        const there = new Set(Array.from(now.values(), ({ uid }) => uid))
        for (const uid of disrupted) if (!there.has(uid)) disrupted.delete(uid)
        control.tell(new Map(Array.from(now, ([name, { uid, leaving }]) => [name, { uid, leaving }])))
      },
    },
    { api, selector, log, scope, metrics },
  )

  async function tellCosts(): Promise<void> {
    if (!control.leading) return
    const connections = new Map(
      control.view().members.map(({ boot, figures }) => [idOf(boot), figures['connections'] ?? 0]),
    )
    const edges = [...pods.values()].filter(({ component, leaving }) => component === 'edge' && !leaving)
    const known = edges.flatMap(({ name, deletionCost: told }) => {
      const count = connections.get(name)
      return count === undefined ? [] : [{ name, told, connections: count }]
    })
    for (const { name, cost } of costsToTell(known)) {
      const body = { metadata: { annotations: { [deletionCost]: String(cost) } } }
      const path = `/api/v1/namespaces/${api.namespace}/pods/${encodeURIComponent(name)}`
      try {
        await api.ask({ method: 'PATCH', path, body, contentType: 'application/merge-patch+json' })
      } catch (error) {
        // A hint; in a minute it is told again.
        metrics.apiFailures.inc({ call: 'deletion-cost' })
        log.debug('the deletion cost of a pod could not be told', { pod: name, err: error })
      }
    }
  }
  scope.every(costsEveryMs, tellCosts)
}
