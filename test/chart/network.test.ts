import { describe, expect, test } from 'vitest'
import { allows } from './network.ts'
import type { Peer } from './network.ts'
import { render } from './render.ts'
import type { Scenario } from './render.ts'

const pod = (component: string, namespace = 'fleet'): Peer => ({
  namespace,
  labels: {
    'app.kubernetes.io/name': 'flotilla',
    'app.kubernetes.io/instance': 'x',
    'app.kubernetes.io/component': component,
  },
})
const outside: Peer = {}
const stranger: Peer = { namespace: 'fleet', labels: { app: 'other' } }
const far: Peer = { namespace: 'elsewhere', labels: { app: 'other' } }
const dns: Peer = { namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } }
const tiers = ['edge', 'shard', 'control', 'ingest']
const admin: Readonly<Record<string, number>> = { edge: 9080, ingest: 9081, control: 9082, shard: 9083 }
const policiesOf = (scenario: Scenario, sets: string[] = []) => render(scenario, sets).all('NetworkPolicy')

describe('who may connect to whom', () => {
  const policies = policiesOf('default')

  test.each([
    ...tiers.map((tier) => [`${tier} to Redis`, pod(tier), pod('redis'), 6379] as const),
    ...tiers.map((tier) => [`${tier} to DNS`, pod(tier), dns, 53] as const),
    ...tiers.map((tier) => [`${tier} to DNS whose pods have a port of their own`, pod(tier), dns, 5353] as const),
    ...tiers.map((tier) => [`Prometheus in the namespace to ${tier}`, stranger, pod(tier), admin[tier] ?? 0] as const),
    ['a browser to an edge', outside, pod('edge'), 8080],
    ['an ingress to an edge', far, pod('edge'), 8080],
    ['a service to ingest', far, pod('ingest'), 8081],
    ['control to the API server', pod('control'), outside, 6443],
    ['helm test to an edge', pod('test'), pod('edge'), 8080],
    ['helm test to ingest', pod('test'), pod('ingest'), 8081],
    ['helm test to DNS', pod('test'), dns, 53],
    ['an operator in the namespace to control', stranger, pod('control'), 8082],
  ] as const)('[HC15] %s', (_, from, to, port) => {
    expect(allows(policies, from, to, port)).toBe(true)
  })

  test.each([
    ['anybody to Redis', stranger, pod('redis'), 6379],
    ['the outside to Redis', outside, pod('redis'), 6379],
    ['helm test to Redis', pod('test'), pod('redis'), 6379],
    ['a pod of the same labels in another namespace to Redis', pod('edge', 'elsewhere'), pod('redis'), 6379],
    ['the outside to ingest', outside, pod('ingest'), 8081],
    ['the outside to metrics', outside, pod('edge'), 9080],
    ...tiers.map(
      (tier) => [`another namespace to the admin port of ${tier}`, far, pod(tier), admin[tier] ?? 0] as const,
    ),
    ['another namespace to control', far, pod('control'), 8082],
    ['edge to ingest', pod('edge'), pod('ingest'), 8081],
    ['edge to shard', pod('edge'), pod('shard'), 9083],
    ['edge to the outside', pod('edge'), outside, 443],
    ['control to the outside', pod('control'), outside, 80],
    ['Redis to the outside', pod('redis'), outside, 443],
    ['Redis to an edge', pod('redis'), pod('edge'), 8080],
  ] as const)('[HC16] not: %s', (_, from, to, port) => {
    expect(allows(policies, from, to, port)).toBe(false)
  })

  test('[HC15] a Redis outside, the keys of tokens, and the health checks of a load balancer', () => {
    const external = policiesOf('external-redis')
    for (const tier of tiers) expect(allows(external, pod(tier), outside, 6380)).toBe(true)
    expect(allows(external, pod('edge'), outside, 8443)).toBe(true)
    expect(allows(external, pod('shard'), outside, 8443)).toBe(false)
    const prometheus: Peer = { namespace: 'monitoring', labels: { app: 'prometheus' } }
    for (const tier of tiers) expect(allows(policiesOf('ha'), prometheus, pod(tier), admin[tier] ?? 0)).toBe(true)
    expect(allows(policiesOf('ha'), far, pod('edge'), 9080)).toBe(false)
    const collector: Peer = { namespace: 'monitoring', labels: { app: 'collector' } }
    for (const tier of tiers) {
      expect(allows(policiesOf('ha'), pod(tier), collector, 4318)).toBe(true)
      expect(allows(policiesOf('ha'), pod(tier), outside, 4318)).toBe(false)
      expect(
        allows(policiesOf('default', ['tracing.url="https://traces.example.com/v1"']), pod(tier), outside, 443),
      ).toBe(true)
      expect(allows(policiesOf('default'), pod(tier), collector, 4318)).toBe(false)
    }
    expect(allows(policiesOf('nlb'), outside, pod('edge'), 9080)).toBe(true)
    expect(allows(policiesOf('nlb'), far, pod('edge'), 9080)).toBe(false)
    expect(allows(policiesOf('nlb', ['networkPolicy.healthChecksFrom=[]']), far, pod('edge'), 9080)).toBe(true)
    expect(allows(policiesOf('nlb'), outside, pod('ingest'), 9081)).toBe(false)
  })

  test('[HC16] who is named, and nobody else', () => {
    const tight = policiesOf('restricted')
    expect(allows(tight, outside, pod('edge'), 8080)).toBe(false)
    expect(allows(tight, { namespace: 'fleet', labels: { app: 'crm' } }, pod('ingest'), 8081)).toBe(true)
    expect(allows(tight, stranger, pod('ingest'), 8081)).toBe(false)
    // Whoever may connect: `helm test` does.
    expect(allows(tight, pod('test'), pod('edge'), 8080)).toBe(true)
    expect(allows(tight, pod('test'), pod('ingest'), 8081)).toBe(true)
    expect(policiesOf('default', ['networkPolicy.enabled=false'])).toEqual([])
  })
})
