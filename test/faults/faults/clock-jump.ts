import type { FleetProcess } from '../../fleet/process.ts'
import type { Fault } from '../fault.ts'
import type { World } from '../harness/world.ts'

const hourMs = 3_600_000

function jump(who: string, hours: 1 | -1, processes: (world: World) => readonly FleetProcess[]): Fault {
  return {
    name: `clock-${hours > 0 ? 'forward' : 'back'}-${who}`,
    about: `The wall clock of every ${who} jumps by ${hours > 0 ? '+' : '−'}1 h and, later, back; clients resume meanwhile.`,
    needs: { hooks: true },
    // The age of what a client missed is the difference of two wall clocks, the worker's and the edge's.
    mayTell: who === 'control' ? [] : ['expired'],
    async inject(world) {
      const { traffic, hook, count, balancer } = world
      for (const ms of [hours * hourMs, 0]) {
        for (const each of processes(world)) {
          const reported = await hook(each, 'clock', ms)
          if (ms !== 0) count(`clockMoved ${each.name}`, Math.abs(reported - (Date.now() + ms)) < hourMs / 2 ? 1 : 0)
        }
        await traffic.more(1_000)
        count('connectionsCut', await traffic.reconnected(balancer.cut))
      }
    },
  }
}

export const clockJumps: readonly Fault[] = ([1, -1] as const).flatMap((hours) => [
  jump('worker', hours, ({ fleet }) => fleet.workers),
  jump('edge', hours, ({ fleet }) => fleet.edges),
  jump('control', hours, ({ fleet }) => fleet.controls),
])
