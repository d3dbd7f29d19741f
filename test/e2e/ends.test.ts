import { describe, expect, test } from 'vitest'
import type { FleetProcess } from '../fleet/process.ts'
import { until } from '../fleet/until.ts'
import { begin, during, expectWhole } from './setting.ts'

/** The second signal comes once the process has said that it drains. */
async function endTwice(process: FleetProcess): Promise<{ code: number | null; ms: number }> {
  const before = process.logged('draining').length
  const ended = process.kill('SIGTERM')
  await until('it drains', async () => process.logged('draining').length > before)
  const since = performance.now()
  process.signal('SIGTERM')
  const { code } = await ended
  return { code, ms: performance.now() - since }
}

describe('processes that may not end in their own time', () => {
  test('[E2E9] a second SIGTERM ends an edge, a worker and an ingest process that drain at once, with 1, and what follows is whole', async () => {
    const setting = await begin()
    const { fleet, traffic } = setting
    let total = 0
    for (const process of [fleet.edges[0], fleet.workers[0], fleet.ingests[0]]) {
      if (process === undefined) throw new Error('no fleet')
      total += 2_500
      await during(traffic, { at: total - 2_000, total }, async () => {
        const { code, ms } = await endTwice(process)
        expect(code).toBe(1)
        expect(ms).toBeLessThan(1_000)
        await process.start()
        await fleet.settled()
      })
    }
    const said = fleet.complaints()
    expect(said.filter((each) => each.includes('exiting at once'))).toHaveLength(3)
    await expectWhole(
      { ...setting, fleet: { ...fleet, complaints: () => said.filter((each) => !each.includes('exiting at once')) } },
      total,
    )
  })

  test('[E2E10] a worker whose time to drain is too short exits 0, and its slots are served by the other', async () => {
    const setting = await begin()
    const { fleet, traffic } = setting
    const worker = fleet.workers[0]
    if (worker === undefined) throw new Error('no fleet')
    await worker.kill('SIGTERM')
    await worker.start({ FLOTILLA_SHARD_DRAIN_TIMEOUT: '1ms' })
    await fleet.settled()
    await during(traffic, { at: 1_000, total: 4_000 }, async () => {
      expect(await worker.kill('SIGTERM')).toEqual({ code: 0, signal: null })
      await until('the other serves all slots', async () => {
        const plan = (await fleet.view())?.plan
        return (
          plan !== undefined && plan.orphans.length + plan.inFlight.length === 0 && Object.keys(plan.slots).length === 1
        )
      })
    })
    await expectWhole(setting, 4_000)
  })
})
