import type { Lease, StoredLease } from '@flotilla/core/lease'
import { ApiError } from './client.ts'
import type { Api } from './client.ts'

/** The one Lease of the fleet's leader. */
export interface Leases {
  /** null: there is none. */
  read(): Promise<StoredLease | null>
  /** 'conflict': somebody else wrote first. */
  create(lease: Omit<Lease, 'renewed'>): Promise<StoredLease | 'conflict'>
  replace(lease: Omit<Lease, 'renewed'>, version: string): Promise<StoredLease | 'conflict'>
}

const epochsAnnotation = 'flotilla.dev/epochs'

interface LeaseObject {
  readonly metadata?: { readonly resourceVersion?: string; readonly annotations?: Readonly<Record<string, string>> }
  readonly spec?: {
    readonly holderIdentity?: string | null
    readonly leaseDurationSeconds?: number | null
    readonly leaseTransitions?: number | null
    readonly renewTime?: string | null
  }
}

export function leasesOf(api: Api, name: string): Leases {
  const path = `/apis/coordination.k8s.io/v1/namespaces/${api.namespace}/leases`
  const own = `${path}/${encodeURIComponent(name)}`

  let acquired = { transitions: -1, at: '' }

  async function write(method: 'POST' | 'PUT', lease: Omit<Lease, 'renewed'>, version?: string) {
    // V1MicroTime: six digits of a second.
    const now = new Date().toISOString().replace('Z', '000Z')
    if (acquired.transitions !== lease.transitions) acquired = { transitions: lease.transitions, at: now }
    const body = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        ...{ name, namespace: api.namespace, annotations: { [epochsAnnotation]: String(lease.epochs) } },
        ...(version !== undefined && { resourceVersion: version }),
      },
      spec: {
        holderIdentity: lease.holder,
        leaseDurationSeconds: lease.durationSeconds,
        leaseTransitions: lease.transitions,
        ...{ acquireTime: acquired.at, renewTime: now },
      },
    }
    try {
      return leaseOf(await api.ask({ method, path: method === 'POST' ? path : own, body }))
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) return 'conflict' as const
      throw error
    }
  }

  return {
    read: async () => {
      try {
        return leaseOf(await api.ask({ method: 'GET', path: own }))
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return null
        throw error
      }
    },
    create: (lease) => write('POST', lease),
    replace: (lease, version) => write('PUT', lease, version),
  }
}

function leaseOf(object: unknown): StoredLease {
  const { metadata, spec } = object as LeaseObject
  return {
    version: metadata?.resourceVersion ?? '',
    epochs: Number(metadata?.annotations?.[epochsAnnotation] ?? 0) || 0,
    holder: spec?.holderIdentity ?? '',
    durationSeconds: spec?.leaseDurationSeconds ?? 0,
    transitions: spec?.leaseTransitions ?? 0,
    renewed: spec?.renewTime ?? '',
  }
}
