import type { Member, Plan } from '@flotilla/core/plan'
import type { FleetStore } from '../port.ts'
import type { Keys } from './keys.ts'
import * as scripts from './scripts.ts'
import type { Topology } from './topology.ts'

/** What the whole fleet shares: on the primary that has the fleet's tag. */
export function redisFleet(topology: Topology, keys: Keys): FleetStore {
  const runs = (): string[] => topology.nodes.map((node) => node.run)
  const parsePlan = (text: unknown): Plan | undefined => (typeof text === 'string' && text !== '' ? (JSON.parse(text) as Plan) : undefined)
  return {
    register: async (member) => {
      await topology.fleet.script(scripts.register, [keys.members], [member.boot, JSON.stringify(member)])
    },
    heartbeat: async (member, planVersion) => {
      const args = [member.boot, JSON.stringify(member), planVersion]
      const [, known, text] = await topology.fleet.script(scripts.heartbeat, [keys.members, keys.plan], args)
      const plan = parsePlan(text)
      return { known: known === 1, runs: runs(), ...(plan === undefined ? {} : { plan }) }
    },
    read: async () => {
      // Control compares the runs of all primaries; those that nobody calls would not show a change by themselves.
      // A primary that does not answer must not hold up what is decided about the others, so the next read has it.
      const { fleet } = topology
      for (const node of topology.nodes) {
        if (node !== fleet && node.ready) node.script(scripts.serverRun, [], []).catch(() => undefined)
      }
      const [, records, text] = await fleet.script(scripts.readFleet, [keys.members, keys.plan], [])
      const members = (records as string[]).map((record) => JSON.parse(record) as Member)
      return { members, plan: parsePlan(text) ?? null, runs: runs() }
    },
    remove: async (boot) => {
      await topology.fleet.script(scripts.leave, [keys.members, keys.lead], [boot])
    },
    lead: async (boot, ttlMs) => {
      const [, taken] = await topology.fleet.script(scripts.lead, [keys.lead], [boot, ttlMs])
      return taken === 1
    },
    publishPlan: async (boot, plan) => {
      const args = [boot, plan.version, JSON.stringify(plan)]
      const [, written] = await topology.fleet.script(scripts.publishPlan, [keys.lead, keys.plan], args)
      return written === 1
    },
    nextEpoch: async (_boot, above, count) => {
      const [, first] = await topology.fleet.script(scripts.nextEpoch, [keys.epoch], [above, count])
      return Number(first)
    },
  }
}
