import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { controlConfig } from '@flotilla/control/config'
import { edgeConfig } from '@flotilla/edge/config'
import { ingestConfig } from '@flotilla/ingest/config'
import { parseConfig } from '@flotilla/node/config'
import { shardConfig } from '@flotilla/shard/config'
import { parse } from 'yaml'
import type { Manifest } from './render.ts'

const deploy = join(import.meta.dirname, '../../deploy')
const read = (path: string): string => readFileSync(join(deploy, path), 'utf8')
const given: Readonly<Record<string, string>> = {
  FLOTILLA_JWT_SECRET: 's'.repeat(32),
  FLOTILLA_INGEST_KEYS: `app:${'k'.repeat(16)}`,
}
/** As compose reads it, with what has to be in `.env`. */
const compose: Manifest = parse(
  read('compose/compose.yaml').replaceAll(
    /\$\{(\w+)(?::[-?]([^}]*))?\}/g,
    (_, name: string, usual = '') => given[name] ?? usual,
  ),
  { merge: true },
)
const services = Object.entries<Manifest>(compose.services)
const tables = { edge: edgeConfig, shard: shardConfig, control: controlConfig, ingest: ingestConfig }
type Tier = keyof typeof tables
/** The processes of the fleet, by the names that others reach them under. */
const processes = services.flatMap(([name, service]) => {
  const tier = service.command?.[0] as Tier
  if (!(tier in tables)) return []
  const settings: Record<string, unknown> = parseConfig(tables[tier], service.environment)
  return [{ name, service, tier, port: Number(settings['port'] ?? 0), adminPort: Number(settings['adminPort']) }]
})
const reached = (pattern: RegExp, text: string): string[] =>
  Array.from(text.matchAll(pattern), ([, at = '']) => at).toSorted()

describe('compose', () => {
  test('[DP1] has two processes of each tier, whose settings are such, and which are named as they call themselves', () => {
    expect(processes.map(({ name }) => name).toSorted()).toEqual(
      Object.keys(tables)
        .flatMap((tier) => [`${tier}-1`, `${tier}-2`])
        .toSorted(),
    )
    for (const { name, service, tier } of processes) {
      expect([service.hostname, service.read_only, name.split('-')[0]]).toEqual([name, true, tier])
      const known = new Set(Object.values(tables[tier]).map(({ env }) => env))
      for (const variable of Object.keys(service.environment)) expect([...known]).toContain(variable)
    }
  })

  test('[DP2] what asks a process asks it at its port: nginx, Prometheus and the health checks', () => {
    const at = (tier: Tier) => processes.filter((each) => each.tier === tier).map(({ name, port }) => `${name}:${port}`)
    expect(reached(/^ *server ([\w-]+:\d+)/gm, read('compose/nginx.conf'))).toEqual(
      [...at('edge'), ...at('ingest')].toSorted(),
    )
    expect(reached(/- ([\w-]+:\d+)$/gm, read('prometheus/prometheus.yml'))).toEqual(
      processes.map(({ name, adminPort }) => `${name}:${adminPort}`).toSorted(),
    )
    for (const { service, adminPort } of processes)
      expect(service.healthcheck.test.join(' ')).toContain(`127.0.0.1:${adminPort}/readyz`)
  })

  test('[DP3] what it mounts is there, and secrets have no value of their own', () => {
    for (const [, service] of services)
      for (const volume of (service.volumes ?? []) as string[]) {
        const [from = ''] = volume.split(':')
        if (from.startsWith('.')) expect([volume, existsSync(join(deploy, 'compose', from))]).toEqual([volume, true])
        else expect(Object.keys(compose.volumes)).toContain(from)
      }
    for (const name of Object.keys(given)) expect(read('compose/compose.yaml')).toMatch(new RegExp(`\\$\\{${name}:\\?`))
    expect(compose.services.redis.command.join(' ')).toContain('--appendonly yes --appendfsync always')
  })

  test('[DP2] Prometheus takes its configuration', () => {
    const checked = spawnSync(
      'promtool',
      ['check', 'config', '--syntax-only', join(deploy, 'prometheus/prometheus.yml')],
      {
        encoding: 'utf8',
      },
    )
    expect([checked.status, checked.stderr]).toEqual([0, ''])
  })
})

describe('manifests', () => {
  test('[DP4] are what the chart makes, without a secret of its own', () => {
    execFileSync(process.execPath, [join(deploy, '../scripts/manifests.mjs'), '--check'], { stdio: 'pipe' })
    expect(read('manifests/flotilla.yaml')).not.toMatch(/^kind: Secret$/m)
    const { images, resources } = parse(read('manifests/kustomization.yaml')) as Manifest
    expect(resources).toEqual(['flotilla.yaml'])
    expect(read('manifests/flotilla.yaml').match(/image: (.*)/g)).toEqual(
      Array.from({ length: 4 }, () => `image: ${images[0].name}:${images[0].newTag}`),
    )
  })
})
