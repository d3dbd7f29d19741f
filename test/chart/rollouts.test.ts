import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { edgeConfig } from '@flotilla/edge/config'
import { parseConfig } from '@flotilla/node/config'
import { describe, expect, test } from 'vitest'
import { tool } from '../../scripts/toolkit.mjs'
import { chart as folder, render } from './render.ts'
import type { Manifest, Rendered } from './render.ts'

const edgeOf = (chart: Rendered): Manifest => chart.one('Deployment', '-edge').spec
/** What the code does when nobody sets anything. */
const usual = parseConfig(edgeConfig, { FLOTILLA_JWT_SECRET: 'x'.repeat(48) })

/** The settings of an edge as its pod gives them. */
function drainOf(chart: Rendered) {
  const { env } = edgeOf(chart).template.spec.containers[0]
  const given = env.filter(({ name }: Manifest) => name.startsWith('FLOTILLA_EDGE_'))
  const variables = Object.fromEntries(given.map(({ name, value }: Manifest) => [name, value]))
  return parseConfig(edgeConfig, { ...variables, FLOTILLA_JWT_SECRET: 'x'.repeat(48) })
}
/** Seconds in which so many full edges drain together: half of what control grants is used (DR rules). */
const drainSeconds = (chart: Rendered, { reconnects = 1_000, atOnce = 1 } = {}): number => {
  const { drainSettleMs, drainGraceMs, maxConnections } = drainOf(chart)
  return (drainSettleMs + drainGraceMs) / 1_000 + (2 * atOnce * maxConnections) / reconnects
}

describe('a rollout of edges', () => {
  test('[HC6] takes the next edge after so long as the one before needs to drain (OP2)', () => {
    for (const scenario of ['default', 'ha', 'nlb', 'keda'] as const) {
      const { strategy, minReadySeconds, progressDeadlineSeconds } = edgeOf(render(scenario))
      expect(strategy.rollingUpdate).toEqual({ maxSurge: 1, maxUnavailable: 0 })
      expect(minReadySeconds).toBeGreaterThanOrEqual(drainSeconds(render(scenario)))
      expect(progressDeadlineSeconds).toBeGreaterThan(minReadySeconds + 300)
    }
  })

  test('[HC18] a drain has the time that full edges need at the pace of control, whatever the values are', () => {
    for (const [sets, { reconnects, atOnce }] of [
      [[], { reconnects: 1_000, atOnce: 1 }],
      [['control.reconnectsPerSecond=300'], { reconnects: 300, atOnce: 1 }],
      [['edge.maxConnections=45000'], { reconnects: 1_000, atOnce: 1 }],
      [['edge.replicas=9', 'edge.maxSurge="25%"'], { reconnects: 1_000, atOnce: 3 }],
    ] as const) {
      const chart = render('default', sets)
      expect(chart.error).toBe('')
      const needed = drainSeconds(chart, { reconnects, atOnce })
      expect(drainOf(chart).drainTimeoutMs / 1_000).toBeGreaterThanOrEqual(needed)
      expect(edgeOf(chart).minReadySeconds).toBeGreaterThanOrEqual(Math.floor(needed))
    }
  })

  test('[HC18] the chart gives a drain no less time than the code does by itself', () => {
    const chosen = drainOf(render('default'))
    expect(chosen.drainGraceMs).toBeGreaterThanOrEqual(usual.drainGraceMs)
    expect(chosen.drainSettleMs).toBeGreaterThanOrEqual(usual.drainSettleMs)
    expect(chosen.drainTimeoutMs).toBeGreaterThanOrEqual(usual.drainTimeoutMs)
  })

  test('[HC8] behind a network load balancer it settles for longer, and the next edge waits for its target', () => {
    const chart = render('default', ['edge.nlb.enabled=true'])
    expect(chart.error).toBe('')
    expect(drainOf(chart).drainSettleMs).toBeGreaterThanOrEqual(90_000)
    expect(edgeOf(chart).minReadySeconds).toBeGreaterThanOrEqual(30)
  })
})

test('[HC18] the notes say what a rollout takes, and where clients connect to', () => {
  const notes = (...args: string[]): string => {
    const all = ['install', 'x', folder, '--namespace', 'fleet', '--dry-run=client', ...args]
    return spawnSync(tool('helm'), all, { encoding: 'utf8' }).stdout.split('\nNOTES:')[1] ?? ''
  }
  expect(notes()).toMatch(/waits 60 s[^]*5 to settle, 40 to move 20000 clients[^]*15 of grace\. After 120 s/)
  expect(notes()).toContain('ws://x-flotilla-edge.fleet:80/ws')
  expect(notes('--values', join(folder, 'ci/nlb-values.yaml'))).toMatch(/wss:\/\/<name of the load balancer>:443\/ws/)
  expect(notes('--set', 'edge.minReadySeconds=5')).toMatch(/WARNING: edge\.minReadySeconds is shorter/)
})

test('[HC17] an edge is in its Service once it was whole, and until it drains: a store that is away takes none of them out', () => {
  const [edge] = edgeOf(render('default')).template.spec.containers
  expect(edge.startupProbe.httpGet.path).toBe('/readyz')
  expect(edge.readinessProbe.httpGet.path).toBe('/healthz/lb')
  expect(edge.livenessProbe.httpGet.path).toBe('/livez')
  const [control] = render('default').one('Deployment', '-control').spec.template.spec.containers
  expect(control.readinessProbe.httpGet.path).toBe('/readyz')
})

test('[HC4] whole numbers are written out, and fractions stay what they are', () => {
  const sets = ['edge.env={"FLOTILLA_EDGE_CONNECTION_AGE":14400000,"HALF":0.5,"FLAG":true}']
  const { env } = edgeOf(render('default', sets)).template.spec.containers[0]
  const valueOf = (name: string) => env.find((each: Manifest) => each.name === name).value
  expect(['FLOTILLA_EDGE_CONNECTION_AGE', 'HALF', 'FLAG'].map(valueOf)).toEqual(['14400000', '0.5', 'true'])
})

test('[HC14] no variable is named a second time that a value of the chart, or the chart itself, sets', () => {
  const set = new Set<string>()
  for (const scenario of ['default', 'external-redis', 'ha'] as const) {
    const chart = render(scenario)
    for (const kind of ['Deployment', 'StatefulSet'])
      for (const { spec } of chart.all(kind)) for (const { name } of spec.template.spec.containers[0].env) set.add(name)
  }
  for (const name of ['EDGE', 'INGEST', 'CONTROL', 'SHARD']) set.add(`FLOTILLA_${name}_ADMIN_PORT`)
  for (const name of ['EDGE', 'INGEST', 'CONTROL']) set.add(`FLOTILLA_${name}_PORT`)
  const all = JSON.stringify(Object.fromEntries(Array.from(set, (name) => [name, '1'])))
  const { ok, error } = render('default', [`fleet.env=${all}`])
  expect(ok).toBe(false)
  expect(Array.from(set).filter((name) => !error.includes(`${name} (`))).toEqual([])
  for (const each of ['shard.env={"FLOTILLA_SLOTS":256}', 'edge.extraEnv=[{"name":"FLOTILLA_JWT_SECRET"}]'])
    expect(render('default', [each]).error).toMatch(/env or extraEnv names what other values say/)
})
