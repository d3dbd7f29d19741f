import type { FleetProcess } from '../../fleet/process.ts'
import { until } from '../../fleet/until.ts'
import type { World } from './world.ts'

/** What a fault waits for, at most, ms: several times what control, or a process that gives up its connection, takes. */
const noticedWithinMs = 30_000

/** Whether a boot is one of this process. */
const isOf =
  ({ name }: FleetProcess) =>
  (boot: string): boolean =>
    boot.startsWith(`${name}#`)

/** The only boot that this process has in the fleet now. */
export async function bootOf({ fleet }: World, process: FleetProcess): Promise<string> {
  const members = (await fleet.view())?.members ?? []
  const live = members.filter(({ boot, state }) => isOf(process)(boot) && state === 'live')
  const [only] = live
  if (only === undefined || live.length > 1) throw new Error(`${process.name} has ${live.length} live boots`)
  return only.boot
}

/** Resolves when control takes every boot of this process for dead, while it cannot get another. */
export async function declaredDead({ fleet }: World, process: FleetProcess): Promise<void> {
  await until(
    `control takes ${process.name} for dead`,
    async () => {
      const members = (await fleet.view())?.members
      return members?.every(({ boot, state }) => !isOf(process)(boot) || state === 'dead') ?? false
    },
    noticedWithinMs,
  )
}

/** Resolves when all slots are others' than this worker's, who have claimed them; as this control process says, or any. */
export async function takenOver(
  { fleet }: World,
  worker: FleetProcess,
  { by, withinMs = noticedWithinMs }: { readonly by?: FleetProcess; readonly withinMs?: number } = {},
): Promise<void> {
  await until(
    `the slots of ${worker.name} are taken over`,
    async () => {
      const plan = (await fleet.view(by))?.plan
      if (plan === undefined || plan.inFlight.length > 0 || plan.orphans.length > 0) return false
      return !Object.keys(plan.slots).some(isOf(worker))
    },
    withinMs,
  )
}
