import type { Lease, StoredLease } from '@flotilla/core/lease'
import { ApiError } from './client.ts'
import type { Api } from './client.ts'

/** The one Lease of the fleet's leader. */
export interface Leases {
  /** null: there is none. */
  read(): Promise<StoredLease | null>
  /** 'conflict': somebody else wrote first. */
  create(lease: Omit<Lease, 'renewed'>): Promise<StoredLease | 'conflict'>
  /** 'conflict': it is not of that version any more, or not there. Whatever others wrote into it stays. */
  replace(lease: Omit<Lease, 'renewed'>, version: string): Promise<StoredLease | 'conflict'>
}

const epochsAnnotation = 'flotilla.dev/epochs'
/** Of one call, ms: a third of the time for which a Lease lasts, so that a renewal that hangs is followed by another one in time. */
const leaseDeadlineMs = 1_000

interface LeaseObject {
  readonly metadata?: { readonly resourceVersion?: string; readonly annotations?: Readonly<Record<string, string>> }
  readonly spec?: {
    readonly holderIdentity?: string | null
    readonly leaseDurationSeconds?: number | null
    readonly leaseTransitions?: number | null
    readonly renewTime?: string | null
    readonly acquireTime?: string | null
  }
}

export function leasesOf(api: Api, name: string): Leases {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${api.namespace}/leases`
  const own = `${path}/${encodeURIComponent(name)}`
  /** As it was last read or written: what replaces it has all that is not this process's to say. */
  let last: LeaseObject = {}

  function keep(object: unknown): StoredLease {
    last = object as LeaseObject
    return leaseOf(last)
  }

  async function write(method: 'POST' | 'PUT', lease: Omit<Lease, 'renewed'>, before: LeaseObject) {
    // V1MicroTime: six digits of a second.
    const now = new Date().toISOString().replace('Z', '000Z')
    const goesOn = before.spec?.leaseTransitions === lease.transitions
    const annotations = { ...before.metadata?.annotations, [epochsAnnotation]: String(lease.epochs) }
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { ...before.metadata, name, namespace: api.namespace, annotations },
      spec: {
        ...before.spec,
        holderIdentity: lease.holder,
        leaseDurationSeconds: lease.durationSeconds,
        leaseTransitions: lease.transitions,
        ...{ acquireTime: (goesOn ? before.spec?.acquireTime : undefined) ?? now, renewTime: now },
      },
    }
    try {
      const url = method === 'POST' ? path : own
      return keep(await api.ask({ method, path: url, body, deadlineMs: leaseDeadlineMs }))
    } catch (error) {
      const isGone = method === 'PUT' && error instanceof ApiError && error.status === 404
      if (isGone || (error instanceof ApiError && error.status === 409)) return 'conflict' as const
      throw error
    }
  }

  return {
    read: async () => {
      try {
        return keep(await api.ask({ method: 'GET', path: own, deadlineMs: leaseDeadlineMs }))
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return null
        throw error
      }
    },
    create: (lease) => write('POST', lease, {}),
    replace: (lease, version) =>
      write('PUT', lease, { ...last, metadata: { ...last.metadata, resourceVersion: version } }),
  }
}

function leaseOf({ metadata, spec }: LeaseObject): StoredLease {
  return {
    version: metadata?.resourceVersion ?? '',
    epochs: Number(metadata?.annotations?.[epochsAnnotation] ?? 0) || 0,
    holder: spec?.holderIdentity ?? '',
    durationSeconds: spec?.leaseDurationSeconds ?? 0,
    transitions: spec?.leaseTransitions ?? 0,
    renewed: spec?.renewTime ?? '',
  }
}
