import { createBackoff, wait } from '@flotilla/node/backoff'
import type { Log } from '@flotilla/node/log'
import type { Scope } from '@flotilla/node/scope'
import type { ControlMetrics } from '../metrics.ts'
import { ApiError } from './client.ts'
import type { Api } from './client.ts'

/** A pod of the fleet, as far as control looks at it. */
export interface Pod {
  /** Also the id of its process in the fleet. */
  readonly name: string
  readonly uid: string
  /** `edge`, `shard`, `control` or `ingest`. */
  readonly component: string
  /** It was asked to end. */
  readonly leaving: boolean
  /** Why it is evicted, as `EvictionByEvictionAPI`; undefined: it is not. */
  readonly disruption: string | undefined
  /** What a ReplicaSet goes by when it has to choose which of its pods to delete; undefined: nothing was said. */
  readonly deletionCost: number | undefined
}

export interface PodsListener {
  /** After each change: all that are there, by name. The map changes later on. */
  onPods(pods: ReadonlyMap<string, Pod>): void
}

interface PodsDeps {
  readonly api: Api
  readonly selector: string
  readonly log: Log
  readonly scope: Scope
  readonly metrics: Pick<ControlMetrics, 'apiFailures'>
  /** Shorter ones for tests. */
  readonly times?: WatchTimes
}
interface WatchTimes {
  readonly silenceMs: number
  readonly resyncMs: number
}

const pageSize = 500
/** Between two watches, ms, give or take half of it. */
const restMs = 200
/** The server ends a watch after so long, s, and it goes on where it was: so one that hangs is noticed soon. */
const watchSeconds = 30
/**
 * `silenceMs`: longer than that, nothing came, not even the end. `resyncMs`: then all pods are read again, as a watch may have missed
 * something for a reason that nobody knows.
 */
const usualTimes: WatchTimes = { silenceMs: 45_000, resyncMs: 300_000 }

interface PodObject {
  readonly metadata: {
    readonly name: string
    readonly uid: string
    readonly resourceVersion: string
    readonly deletionTimestamp?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  }
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string; readonly reason?: string }[]
  }
}
interface PodList {
  readonly metadata: { readonly resourceVersion: string; readonly continue?: string }
  readonly items: readonly PodObject[]
}
interface WatchEvent {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  readonly object: PodObject & { readonly code?: number; readonly message?: string }
}

export const deletionCost = 'controller.kubernetes.io/pod-deletion-cost'

/** Lists the fleet's pods and then watches them, for ever: an end, an error, an expired version or silence begins it again. */
export function watchPods(listener: PodsListener, deps: PodsDeps): void {
  const { api, selector, log, scope, metrics, times = usualTimes } = deps
  const path = `/api/v1/namespaces/${api.namespace}/pods`
  const backoff = createBackoff({ baseMs: 100, maxMs: 10_000, random: Math.random })
  const pods = new Map<string, Pod>()
  let failing = false

  const tell = (): void => listener.onPods(pods)
  function add(object: PodObject): void {
    const pod = podOf(object)
    pods.set(pod.name, pod)
  }

  /** Returns the version that a watch goes on from. */
  async function list(): Promise<string> {
    const found: PodObject[] = []
    let next = ''
    let version = ''
    do {
      const query = new URLSearchParams({
        labelSelector: selector,
        limit: String(pageSize),
        ...(next !== '' && { continue: next }),
      })
      const page = (await api.ask({ method: 'GET', path: `${path}?${query.toString()}` })) as PodList
      found.push(...page.items)
      version = page.metadata.resourceVersion
      next = page.metadata.continue ?? ''
    } while (next !== '')
    pods.clear()
    for (const each of found) add(each)
    tell()
    return version
  }

  /** Until the server ends it; returns the version to go on from. */
  async function watch(from: string, signal: AbortSignal): Promise<string> {
    let version = from
    const query = new URLSearchParams({
      ...{ watch: '1', allowWatchBookmarks: 'true', labelSelector: selector, resourceVersion: from },
      timeoutSeconds: String(Math.round(watchSeconds * (1 + Math.random() / 3))),
    })
    const onLine = (line: unknown): void => {
      const { type, object } = line as WatchEvent
      if (type === 'ERROR') throw new ApiError(object.code ?? 500, object.message ?? 'the watch failed')
      version = object.metadata.resourceVersion
      if (type === 'BOOKMARK') return
      if (type === 'DELETED') pods.delete(object.metadata.name)
      else add(object)
      tell()
    }
    await api.watch({ path: `${path}?${query.toString()}`, silenceMs: times.silenceMs, signal, onLine })
    return version
  }

  async function follow(signal: AbortSignal): Promise<void> {
    let version = await list()
    const until = performance.now() + times.resyncMs * (1 + Math.random() / 3)
    if (failing) log.info('pods are watched again')
    failing = false
    while (performance.now() < until) {
      version = await watch(version, signal)
      backoff.reset()
      // A server that ends every watch at once is not asked without a pause.
      await wait(restMs * (0.5 + Math.random()), signal)
    }
  }

  scope.loop('watch pods', async (signal) => {
    try {
      await follow(signal)
    } catch (error) {
      if (signal.aborted) return
      // An expired version is no failure: all of them are read anew.
      if (!(error instanceof ApiError && error.status === 410)) {
        metrics.apiFailures.inc({ call: 'pods' })
        if (!failing) log.warn('pods are not watched', { err: error })
        failing = true
      }
      await wait(backoff.next(), signal).catch(() => undefined)
    }
  })
}

function podOf({ metadata, status }: PodObject): Pod {
  const disrupted = status?.conditions?.find((each) => each.type === 'DisruptionTarget' && each.status === 'True')
  const cost = metadata.annotations?.[deletionCost]
  return {
    name: metadata.name,
    uid: metadata.uid,
    component: metadata.labels?.['app.kubernetes.io/component'] ?? '',
    leaving: metadata.deletionTimestamp !== undefined,
    disruption: disrupted?.reason,
    deletionCost: cost === undefined ? undefined : Number(cost),
  }
}
