import type { FleetProcess } from '../../fleet/process.ts'
import { until } from '../../fleet/until.ts'
import type { Fault } from '../fault.ts'
import type { World } from '../harness/world.ts'
import { edgeOf } from '../traffic/traffic.ts'

/** The answer may be faster than the signal: it is tried until one was hit. */
const attempts = 12
/** The end of a connection is noticed so long after the edge's, ms. */
const noticedWithinMs = 1_000

/** Connections to this edge, made since, that ended with it, and not before, between `resume` and its answer. */
function hits(
  { traffic }: World,
  edge: FleetProcess,
  { since, killedAt }: { since: number; killedAt: number },
): number {
  const cuts = traffic.raw.flatMap((each) => each.cuts)
  return cuts.filter(
    ({ connectionId, askedAtMs, endedAtMs }) =>
      edgeOf(connectionId) === edge.name &&
      askedAtMs > since &&
      endedAtMs >= killedAt &&
      endedAtMs < killedAt + noticedWithinMs,
  ).length
}

export const edgeKillResume: Fault = {
  name: 'edge-kill-resume',
  about: 'All connections are cut, and an edge is killed between a client’s `resume` and its answer.',
  needs: { rawClients: 40, rate: 500 },
  async inject(world) {
    const { fleet, traffic, balancer, count } = world
    let cut = 0
    for (let attempt = 0; attempt < attempts && cut === 0; attempt += 1) {
      const resumes = traffic.raw.map((each) => each.nextResume())
      const since = performance.now()
      balancer.cut()
      const name = edgeOf(await Promise.race(resumes))
      const edge = fleet.edges.find((each) => each.name === name)
      if (edge === undefined) throw new Error(`there is no edge ${name}`)
      const killedAt = performance.now()
      await edge.kill('SIGKILL')
      await edge.start()
      await traffic.connected()
      cut = hits(world, edge, { since, killedAt })
    }
    count('cutDuringResume', cut)
    await until('all are back', () => traffic.raw.every((each) => each.connected))
  },
}
