import { freePort } from '@flotilla/node/testing/free-port'
import type { FleetProcess } from '../../fleet/process.ts'
import { until } from '../../fleet/until.ts'
import type { Fault } from '../fault.ts'
import { bootOf } from '../harness/members.ts'
import type { World } from '../harness/world.ts'

/** The boot of the twin, when control sees both. */
async function bootOfTwin({ fleet }: World, worker: FleetProcess, first: string): Promise<string> {
  return until('control sees both', async () => {
    const live = ((await fleet.view())?.members ?? []).filter(({ state }) => state === 'live')
    const of = (boot: string): boolean => boot.startsWith(`${worker.name}#`)
    if (live.every(({ boot }) => boot !== first)) return undefined
    return live.find(({ boot }) => of(boot) && boot !== first)?.boot
  })
}

/** The slots of this boot, which has claimed them all; undefined while somebody has still to. */
async function ownedBy({ fleet }: World, boot: string): Promise<readonly number[] | undefined> {
  const plan = (await fleet.view())?.plan
  if (plan === undefined || plan.inFlight.length > 0 || plan.orphans.length > 0) return undefined
  return plan.slots[boot] ?? []
}

/** Kills the worker and waits until its slots are others'. Returns how many of them its twin serves. */
async function replace(world: World, worker: FleetProcess, boots: { first: string; twin: string }): Promise<number> {
  const had = new Set(await until('every slot is owned', () => ownedBy(world, boots.first)))
  await worker.kill('SIGKILL')
  await until('nothing is planned for the killed', async () => (await ownedBy(world, boots.first))?.length === 0)
  const has = await until('the twin serves', () => ownedBy(world, boots.twin))
  return has.filter((slot) => had.has(slot)).length
}

export const twinWorker: Fault = {
  name: 'twin-worker',
  about:
    'A second worker of the same name runs beside the first; the first is killed and the second takes its slots over; the first comes back, and the second leaves.',
  async inject(world) {
    const { fleet, any, count } = world
    const worker = any(fleet.workers)
    const first = await bootOf(world, worker)
    const twin = worker.twin(await freePort())
    await twin.start()
    try {
      const boots = { first, twin: await bootOfTwin(world, worker, first) }
      count('slotsServedByTwin', await replace(world, worker, boots))
      await worker.start()
      const { code } = await twin.kill('SIGTERM')
      if (code !== 0) throw new Error(`the twin of ${twin.name} ended with ${code}`)
    } finally {
      await twin.kill('SIGKILL')
    }
  },
}
