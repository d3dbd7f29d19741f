import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { createScope } from '@flotilla/node/scope'
import type { Scope } from '@flotilla/node/scope'
import { startControl } from '@flotilla/core/control'
import { startApiServer } from '../../test/api-server.ts'
import type { ApiServer } from '../../test/api-server.ts'
import { controlMetrics } from '../metrics.ts'
import { createApi } from './client.ts'
import { watchPods } from './pods.ts'
import type { Pod } from './pods.ts'

const log = createLog({ service: 'test', level: 'silent' })
const selector = 'app.kubernetes.io/name=flotilla'
let server: ApiServer
let scope: Scope
let pods: ReadonlyMap<string, Pod>
const metrics = createMetrics({ service: 'test' })
const counters = controlMetrics(metrics, () => startControl(1))

beforeEach(async () => {
  server = await startApiServer()
  scope = createScope(log)
  pods = new Map()
})
afterEach(async () => {
  await scope.close()
  await server.close()
})

function follow(times = { silenceMs: 10_000, resyncMs: 60_000 }): void {
  const listener = {
    onPods: (now: ReadonlyMap<string, Pod>) => void (pods = new Map(now)),
  }
  watchPods(listener, { api: createApi(server.url, 'fleet'), selector, log, scope, metrics: counters, times })
}
const names = (): string[] => [...pods.keys()].toSorted()
const until = (holds: () => boolean) => expect.poll(holds, { timeout: 15_000, interval: 10 }).toBe(true)
const failures = async (): Promise<number> =>
  (await counters.apiFailures.get()).values.reduce((sum, { value }) => sum + value, 0)
const watched = (count: number) => until(() => server.watches() === count)

describe('the pods of the fleet', () => {
  test('[KB1] are listed in pages and then watched: what comes, changes and goes is told', async () => {
    for (let i = 0; i < 1_203; i += 1) server.addPod(`edge-${i}`, 'edge')
    follow()
    await watched(1)
    expect(pods.size).toBe(1_203)
    expect(server.asked).toEqual(['GET pods', 'GET pods', 'GET pods', 'WATCH pods'])
    server.addPod('shard-0', 'shard')
    server.changePod('edge-1', (pod) => {
      pod.metadata.deletionTimestamp = '2026-01-01T00:00:00Z'
      pod.status = { conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI' }] }
    })
    server.deletePod('edge-2')
    await until(() => !pods.has('edge-2'))
    expect(pods.get('shard-0')).toMatchObject({ component: 'shard', leaving: false, disruption: undefined })
    expect(pods.get('edge-1')).toMatchObject({ leaving: true, disruption: 'EvictionByEvictionAPI' })
    server.addPod('edge-2', 'edge')
    await until(() => pods.has('edge-2'))
  })

  test('[KB2] a watch that the server ends goes on where it was, after a bookmark from there', async () => {
    server.addPod('edge-1', 'edge')
    follow()
    await watched(1)
    server.bookmark()
    server.endWatches()
    await until(() => server.asked.filter((each) => each === 'WATCH pods').length === 2)
    server.addPod('edge-2', 'edge')
    await until(() => pods.size === 2)
    expect(server.asked.filter((each) => each === 'GET pods')).toHaveLength(1)
  })

  test('[KB3] an expired version is followed by a list, and what went meanwhile is gone, also where its name is back', async () => {
    for (const name of ['edge-1', 'edge-2']) server.addPod(name, 'edge')
    follow()
    await watched(1)
    server.silenceWatches()
    const { uid } = pods.get('edge-2') ?? {}
    for (const name of ['edge-1', 'edge-2']) server.deletePod(name)
    for (const name of ['edge-2', 'edge-3']) server.addPod(name, 'edge')
    server.forget()
    server.endWatches()
    await until(() => names().join() === 'edge-2,edge-3')
    expect(pods.get('edge-2')?.uid).not.toBe(uid)
  })

  test('[KB4] a stream that hangs is given up and begun again', async () => {
    server.addPod('edge-1', 'edge')
    follow({ silenceMs: 300, resyncMs: 60_000 })
    await watched(1)
    server.silenceWatches()
    server.addPod('edge-2', 'edge')
    await until(() => pods.size === 2)
  })

  test('[KB4] from time to time all of them are read again, whatever the watch said', async () => {
    follow({ silenceMs: 300, resyncMs: 10 })
    await until(() => server.asked.filter((each) => each === 'GET pods').length > 2)
  })

  test.each([403, 429, 500, 'cuts'] as const)(
    '[KB5] while the server answers %s nothing is forgotten, and it is asked again',
    async (mood) => {
      server.addPod('edge-1', 'edge')
      follow()
      await watched(1)
      const before = await failures()
      server.mood = mood
      server.endWatches()
      await until(() => server.asked.length > 4)
      expect(names()).toEqual(['edge-1'])
      server.addPod('edge-2', 'edge')
      server.mood = 'well'
      await until(() => pods.size === 2)
      expect(await failures()).toBeGreaterThan(before)
    },
  )
})
