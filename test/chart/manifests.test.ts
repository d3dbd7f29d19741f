import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { controlConfig } from '@flotilla/control/config'
import { edgeConfig } from '@flotilla/edge/config'
import { ingestConfig } from '@flotilla/ingest/config'
import { parseConfig } from '@flotilla/node/config'
import { shardConfig } from '@flotilla/shard/config'
import { describe, expect, test } from 'vitest'
import { podsOf, render, scenarios } from './render.ts'
import type { Manifest, Rendered, Scenario } from './render.ts'

const rendered = new Map<Scenario, Rendered>(scenarios.map((name) => [name, render(name)]))
const all = [...rendered]
const of = (scenario: Scenario): Rendered => rendered.get(scenario) ?? render(scenario)
const configs = { edge: edgeConfig, shard: shardConfig, control: controlConfig, ingest: ingestConfig }
const secrets: Readonly<Record<string, string>> = {
  FLOTILLA_JWT_SECRET: 'x'.repeat(48),
  FLOTILLA_INGEST_KEYS: `default:${'y'.repeat(40)}`,
  FLOTILLA_REDIS_URL: 'redis://:secret@redis:6379',
}
const component = (metadata: Manifest): string => metadata.labels['app.kubernetes.io/component']
const covers = (selector: Manifest, labels: Manifest): boolean =>
  Object.entries(selector).every(([name, value]) => labels[name] === value)

/** A container's variables as its process sees them. */
function environment(container: Manifest): Record<string, string> {
  return Object.fromEntries(
    container.env
      .filter(({ name }: Manifest) => name.startsWith('FLOTILLA_'))
      .map(({ name, value }: Manifest) => [
        name,
        value?.includes('$(') || value === undefined ? (secrets[name] ?? 'pod-0') : value,
      ]),
  )
}

describe.each(all)('the chart with ci/%s-values.yaml', (scenario, chart) => {
  test('[HC1] it renders, every object with the labels that say what it belongs to (OP2)', () => {
    expect(chart.error).toBe('')
    for (const { metadata } of chart.objects.filter(
      ({ kind, metadata: { name } }) => kind !== 'ConfigMap' || name !== 'x-extra',
    )) {
      expect(metadata.namespace).toBe('fleet')
      expect(metadata.labels).toMatchObject({ 'app.kubernetes.io/instance': 'x', 'app.kubernetes.io/name': 'flotilla' })
    }
    const names = chart.objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
    expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([])
  })

  test('[HC2] every pod holds to the restricted standard, has memory of its own and no token of the cluster', () => {
    for (const { spec } of podsOf(chart)) {
      expect(spec.securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } })
      // Control asks the API.
      expect(spec.automountServiceAccountToken).toBe(spec.containers[0].name === 'control')
      expect(spec.enableServiceLinks).toBe(false)
      expect([spec.hostNetwork, spec.hostPID, spec.hostIPC]).toEqual([undefined, undefined, undefined])
      for (const { securityContext, resources, image } of spec.containers) {
        expect(securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        })
        expect(resources.limits.memory).toBe(resources.requests.memory)
        expect(image).toMatch(/:(?!latest)[\w.:-]+$/)
      }
    }
  })

  test('[HC3] what selects pods selects those of its own, and ports are there by name', () => {
    const pods = podsOf(chart)
    for (const { owner, metadata } of pods.filter((pod) => pod.owner.kind !== 'Pod'))
      expect(covers(owner.spec.selector.matchLabels, metadata.labels)).toBe(true)
    for (const service of chart.all('Service')) {
      const mine = pods.filter(
        ({ owner, metadata }) => owner.kind !== 'Pod' && covers(service.spec.selector, metadata.labels),
      )
      expect(mine.length).toBeGreaterThan(0)
      const ports = mine.flatMap(({ spec }) =>
        spec.containers.flatMap((each: Manifest) => each.ports.map((port: Manifest) => port.name)),
      )
      for (const { targetPort } of service.spec.ports) expect(ports).toContain(targetPort)
    }
    for (const { spec } of chart.all('PodDisruptionBudget')) {
      const mine = pods.filter(({ metadata }) => covers(spec.selector.matchLabels, metadata.labels))
      expect(mine).toHaveLength(1)
      expect(spec.maxUnavailable).not.toBe(0)
    }
    const accounts = chart.all('ServiceAccount').map(({ metadata }) => metadata.name)
    for (const { owner, spec } of pods) if (owner.kind !== 'Pod') expect(accounts).toContain(spec.serviceAccountName)
  })

  test('[HC4] every process takes the variables that its pod gives it, each of them once', () => {
    for (const { owner, metadata, spec } of podsOf(chart)) {
      const config = configs[component(metadata) as keyof typeof configs]
      if (owner.kind === 'Pod' || config === undefined) continue
      const [container] = spec.containers
      const names = container.env.map(({ name }: Manifest) => name)
      expect(new Set(names).size).toBe(names.length)
      expect(() => parseConfig(config as typeof edgeConfig, environment(container))).not.toThrow()
      expect(container.args.at(-1)).toBe(component(metadata))
    }
  })

  test('[HC5] a pod has longer to end than its process needs to', () => {
    const edge = chart.one('Deployment', '-edge').spec.template.spec
    const parsed = parseConfig(edgeConfig, environment(edge.containers[0]))
    // What the process adds itself: services/*/src/main.ts.
    expect(edge.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(parsed.drainTimeoutMs + 10_000)
    expect(parsed.drainTimeoutMs).toBeGreaterThan(parsed.drainSettleMs + parsed.drainGraceMs)
    const shard = chart.one('StatefulSet', '-shard').spec.template.spec
    const { drainTimeoutMs } = parseConfig(shardConfig, environment(shard.containers[0]))
    expect(shard.terminationGracePeriodSeconds * 1_000).toBeGreaterThan(drainTimeoutMs + 5_000)
    expect(chart.one('Deployment', '-ingest').spec.template.spec.terminationGracePeriodSeconds).toBeGreaterThan(25)
    expect(chart.one('Deployment', '-control').spec.template.spec.terminationGracePeriodSeconds).toBeGreaterThan(10)
    expect(scenario).not.toBe('')
  })
})

describe('what a values file asks for', () => {
  test('[HC6] workers are replaced all at once, and a scaled tier has no number of its own', () => {
    const chart = of('default')
    expect(chart.one('StatefulSet', '-shard').spec.podManagementPolicy).toBe('Parallel')
    expect(chart.one('Deployment', '-edge').spec.replicas).toBe(2)
    expect(of('ha').one('Deployment', '-edge').spec.replicas).toBeUndefined()
    expect(of('ha').one('Deployment', '-ingest').spec.replicas).toBeUndefined()
    expect(of('keda').one('Deployment', '-edge').spec.replicas).toBeUndefined()
  })

  test('[HC7] edges are scaled down by one in longer than a drain takes, by the HPA and by KEDA alike', () => {
    const { metrics, behavior } = of('ha').one('HorizontalPodAutoscaler', '-edge').spec
    expect(metrics.map((each: Manifest) => each.type)).toEqual(['Resource', 'Pods'])
    const scaled = of('keda').one('ScaledObject', '-edge').spec
    expect(scaled.triggers.map((each: Manifest) => each.metadata.query)).toEqual([
      'sum(flotilla_edge_connections{namespace="fleet",pod=~"x-flotilla-edge-.*"})',
      'avg(flotilla_event_loop_utilization_ratio{namespace="fleet",pod=~"x-flotilla-edge-.*"})',
    ])
    for (const { scaleDown } of [behavior, scaled.advanced.horizontalPodAutoscalerConfig.behavior]) {
      // Nothing that grows with their number: at a hundred edges five percent are five.
      expect(scaleDown.policies).toEqual([{ type: 'Pods', value: 1, periodSeconds: 300 }])
      expect(scaleDown.stabilizationWindowSeconds).toBe(600)
    }
  })

  test('[HC8] a network load balancer keeps the connections of targets that leave or do not answer, and asks a page of its own', () => {
    const service = of('nlb').one('Service', '-edge')
    const annotation = (name: string): string =>
      service.metadata.annotations[`service.beta.kubernetes.io/aws-load-balancer-${name}`]
    expect(service.spec).toMatchObject({ type: 'LoadBalancer', loadBalancerClass: 'service.k8s.aws/nlb' })
    expect(annotation('nlb-target-type')).toBe('ip')
    expect(annotation('target-group-attributes').split(',')).toEqual([
      'preserve_client_ip.enabled=true',
      'deregistration_delay.timeout_seconds=330',
      'deregistration_delay.connection_termination.enabled=false',
      'target_health_state.unhealthy.connection_termination.enabled=false',
      'target_health_state.unhealthy.draining_interval_seconds=330',
    ])
    expect([annotation('healthcheck-path'), annotation('healthcheck-port')]).toEqual(['/healthz/lb', '9080'])
    expect([annotation('ssl-ports'), annotation('alpn-policy')]).toEqual(['443', 'HTTP1Only'])
    // The controller adds them, by names that it makes.
    expect(of('nlb').one('Deployment', '-edge').spec.template.spec.readinessGates).toBeUndefined()
    const plain = render('nlb', ['edge.nlb.certificateArn=""']).one('Service', '-edge').metadata.annotations
    expect(plain['service.beta.kubernetes.io/aws-load-balancer-listener-attributes.TCP-443']).toBe(
      'tcp.idle_timeout.seconds=3600',
    )
  })

  test('[HC9] a budget protects two or more, and never blocks the drain of a node', () => {
    const budgets = (sets: string[]) =>
      render('default', sets)
        .all('PodDisruptionBudget')
        .map(({ metadata }) => metadata.name)
    expect(budgets([])).toHaveLength(4)
    expect(budgets(['edge.replicas=1', 'control.replicas=1', 'ingest.pdb.enabled=false'])).toEqual(['x-flotilla-shard'])
  })

  test('[HC10] the Redis to try it with drops nothing and writes to its volume', () => {
    const redis = of('default').one('StatefulSet', '-redis').spec
    const args: string[] = redis.template.spec.containers[0].args
    const setting = (name: string): string | undefined => args[args.indexOf(`--${name}`) + 1]
    expect([setting('maxmemory-policy'), setting('appendonly')]).toEqual(['noeviction', 'yes'])
    expect(Number(setting('maxmemory'))).toBe(Math.floor(0.6 * 512 * 1_048_576))
    const roomOf = (limit: string): string | undefined => {
      const sets = [`redis.resources={"limits":{"memory":${limit}}}`]
      const { args: given } = render('default', sets).one('StatefulSet', '-redis').spec.template.spec.containers[0]
      return given.includes('--maxmemory') ? given[given.indexOf('--maxmemory') + 1] : undefined
    }
    expect(['"1.5Gi"', '"2G"', '500000000', 'null'].map(roomOf)).toEqual([
      ...['966367641', '1200000000', '300000000', undefined],
    ])
    expect(redis.volumeClaimTemplates[0].spec).not.toHaveProperty('storageClassName')
    const sets = ['redis.persistence.storageClass=""', 'redis.persistence.selector={"disk":"a"}']
    const claim = render('default', sets).one('StatefulSet', '-redis').spec.volumeClaimTemplates[0].spec
    expect(claim).toMatchObject({ storageClassName: '', selector: { matchLabels: { disk: 'a' } } })
    expect(of('external-redis').objects.filter(({ metadata }) => metadata.name.endsWith('-redis'))).toEqual([])
    expect(of('restricted').one('StatefulSet', '-redis').spec.template.spec.volumes).toEqual([
      { name: 'data', emptyDir: {} },
    ])
  })

  test('[HC11] keys are of a Secret that is there, or of one that the chart makes and keeps', () => {
    const made = of('default').one('Secret', 'x-flotilla')
    expect(made.metadata.annotations).toEqual({ 'helm.sh/resource-policy': 'keep' })
    expect(Object.keys(made.data).toSorted()).toEqual(['ingest-keys', 'jwt-secret'])
    expect(of('external-redis').all('Secret')).toEqual([])
    const [edge] = of('external-redis').one('Deployment', '-edge').spec.template.spec.containers
    const variables = edge.env.map(({ name }: Manifest) => name)
    expect(variables).not.toContain('FLOTILLA_JWT_SECRET')
    expect(variables).toContain('FLOTILLA_JWKS_URL')
    expect(edge.image).toMatch(/^ghcr\.io\/acme\/flotilla@sha256:/)
  })
})

test('[HC12] the schema and the README are what values.yaml says', () => {
  const script = join(import.meta.dirname, '../../scripts/chart.mjs')
  expect(execFileSync(process.execPath, [script, '--check'], { encoding: 'utf8' })).toBe('')
})
