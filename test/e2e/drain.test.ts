import { describe, expect, test } from 'vitest'
import { wait } from '@flotilla/node/backoff'
import type { FleetProcess } from '../fleet/process.ts'
import { isReady } from '../fleet/process.ts'
import { sumMetric } from '../fleet/metrics.ts'
import { until } from '../fleet/until.ts'
import { begin, during, expectWhole } from './setting.ts'

const health = async ({ adminPort }: FleetProcess): Promise<number> =>
  (await fetch(`http://127.0.0.1:${adminPort}/healthz/lb`)).status
const connections = (edge: FleetProcess): Promise<number> => sumMetric([edge], 'flotilla_edge_connections')

describe('a drain that nobody sent a signal for', () => {
  test('[E2E8] POST /drain, and control that is asked to, empty an edge under load: it runs on, and nobody sees anything', async () => {
    const setting = await begin()
    const { fleet, traffic } = setting
    const [first, second] = fleet.edges
    const control = fleet.controls[0]
    if (first === undefined || second === undefined || control === undefined) throw new Error('no fleet')
    const asked = [
      () => fetch(`http://127.0.0.1:${first.adminPort}/drain`, { method: 'POST' }),
      () => fetch(`http://127.0.0.1:${control.port}/v1/members/${second.name}/drain`, { method: 'POST' }),
    ]
    let total = 0
    for (const [i, edge] of [first, second].entries()) {
      total += 3_000
      expect([await health(edge), await isReady(edge.adminPort)]).toEqual([200, true])
      expect(await connections(edge)).toBeGreaterThan(0)
      await during(traffic, { at: total - 2_500, total }, async () => {
        expect((await asked[i]?.())?.status).toBe(202)
        await until('it has nobody left', async () => (await connections(edge)) === 0)
        expect([await health(edge), await isReady(edge.adminPort)]).toEqual([503, false])
        expect(edge.running).toBe(true)
        expect(await edge.kill('SIGTERM')).toEqual({ code: 0, signal: null })
        await edge.start()
        await fleet.settled()
      })
      while (!(await isReady(edge.adminPort))) await wait(50)
    }
    expect(traffic.reconnects).toBe(0)
    await expectWhole(setting, total)
  })
})
