import { heardUntilMs, maxDenials } from '@flotilla/core/denials'
import type { Denial } from '@flotilla/core/denials'
import type { Member, Plan } from '@flotilla/core/plan'
import type { FleetStore } from '../port.ts'
import type { Keys } from './keys.ts'
import { allow } from './lua/allow.ts'
import { deny } from './lua/deny.ts'
import { heartbeat } from './lua/heartbeat.ts'
import { lead } from './lua/lead.ts'
import { nextEpoch } from './lua/next-epoch.ts'
import { publishPlan } from './lua/publish-plan.ts'
import { readDenials } from './lua/read-denials.ts'
import { readFleet } from './lua/read-fleet.ts'
import { register } from './lua/register.ts'
import { removeMember } from './lua/remove-member.ts'
import { serverRun } from './lua/server-run.ts'
import type { Node } from './node.ts'
import type { Topology } from './topology.ts'

/** What the whole fleet shares: on the primary that has the fleet's tag. */
export function redisFleet(topology: Topology, keys: Keys): FleetStore {
  const denialKeys = [keys.denials, keys.denialsVersion, keys.denialsOver]
  const parsePlan = (text: unknown): Plan | undefined =>
    typeof text === 'string' && text !== '' ? (JSON.parse(text) as Plan) : undefined
  /**
   * Readers must hear of a new run of every primary, also of one that they do not call; those that nobody calls would not
   * show a change by themselves. One that does not answer must not hold up the others, so the next call has its answer.
   */
  const lookAtOthers = (fleet: Node): void => {
    for (const node of topology.nodes()) {
      if (node !== fleet && node.ready) node.script(serverRun, [], []).catch(() => undefined)
    }
  }
  return {
    register: async (member) => {
      await topology.fleet().script(register, [keys.members], [member.boot, JSON.stringify(member)])
    },
    heartbeat: async (member, planVersion) => {
      const args = [member.boot, JSON.stringify(member), planVersion]
      const fleet = topology.fleet()
      lookAtOthers(fleet)
      const [known, text] = (await fleet.script(heartbeat, [keys.members, keys.plan], args)).rest
      const plan = parsePlan(text)
      return { known: known === 1, runs: topology.runs(), ...(plan === undefined ? {} : { plan }) }
    },
    read: async () => {
      const fleet = topology.fleet()
      lookAtOthers(fleet)
      const [records, text] = (await fleet.script(readFleet, [keys.members, keys.plan], [])).rest
      const members = (records as string[]).map((record) => JSON.parse(record) as Member)
      return { members, plan: parsePlan(text) ?? null, runs: topology.runs() }
    },
    remove: async (boot) => {
      await topology.fleet().script(removeMember, [keys.members, keys.lead], [boot])
    },
    lead: async (boot, ttlMs, term = 0) => {
      const [taken] = (await topology.fleet().script(lead, [keys.lead, keys.term], [boot, ttlMs, term])).rest
      return taken === 1
    },
    publishPlan: async (boot, plan) => {
      const args = [boot, plan.version, JSON.stringify(plan)]
      const [written] = (await topology.fleet().script(publishPlan, [keys.lead, keys.plan], args)).rest
      return written === 1
    },
    nextEpoch: async (_boot, above, count) => {
      const [first] = (await topology.fleet().script(nextEpoch, [keys.epoch], [above, count])).rest
      return Number(first)
    },
    deny: async (denial, nowMs) => {
      const args = [denial.id, denial.untilMs ?? 0, JSON.stringify(denial), nowMs, maxDenials, heardUntilMs(nowMs)]
      const [kept] = (await topology.fleet().script(deny, denialKeys, args)).rest
      return kept === 1
    },
    allow: async (id) => {
      const [removed] = (await topology.fleet().script(allow, denialKeys, [id])).rest
      return removed === 1
    },
    denials: async (known) => {
      const [version, values] = (await topology.fleet().script(readDenials, denialKeys.slice(0, 2), [known])).rest
      if (values === undefined) return undefined
      const denials = (values as string[]).map((value) => JSON.parse(value) as Denial)
      return { version: String(version), denials }
    },
  }
}
