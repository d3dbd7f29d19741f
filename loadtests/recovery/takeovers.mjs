// How long slots are not served when their worker leaves, and when it is killed.
import { sleep, until } from '../harness/processes.mjs'
import { clock } from '../harness/samples.mjs'

const slots = 128
/** Forty publishes per second into every slot. */
const perSecond = 5_120

/** Slot → id of the worker that serves it, once all are served and none moves. */
async function whenWhole(fleet) {
  const { port } = fleet.all('control')[0]
  return until('every slot is owned', async () => {
    const view = await fetch(`http://127.0.0.1:${port}/v1/fleet`).then((response) => response.json())
    const owners = new Map()
    for (const [boot, owned] of Object.entries(view.plan?.slots ?? {}))
      for (const slot of owned) owners.set(slot, boot.split('#')[0])
    return owners.size === slots && view.plan.inFlight.length + view.plan.orphans.length === 0 && owners
  })
}

/** Until everything is warm, and logs are as long as they get in that time. */
export async function startPublishing(fleet, forMs = 5_000) {
  const publisher = fleet.load('recovery-publisher.mjs')
  await publisher.ask('start', { perSecond })
  await sleep(forMs)
  return publisher
}

async function shareOf(fleet, worker) {
  const owners = await whenWhole(fleet)
  return [...owners].flatMap(([slot, owner]) => (owner === worker.id ? [slot] : []))
}

/** A worker is asked to leave once another one is there; of each slot that it served, the longest wait for an outcome, ms. */
export async function plannedMove(fleet, publisher, round) {
  const [leaving] = fleet.running
  fleet.running.push(await fleet.serve('shard', `shard-planned-${round}`))
  await whenWhole(fleet)
  await sleep(2_000)
  const moved = await shareOf(fleet, leaving)
  if (moved.length === 0) throw new Error(`${leaving.id} has no slots`)
  await publisher.ask('forget')
  const at = clock()
  const code = await leaving.stop()
  if (code !== 0) throw new Error(`${leaving.id} ended with ${code}`)
  fleet.running.shift()
  await whenWhole(fleet)
  const own = await until('every slot that moved has served', async () => {
    const { seen } = await publisher.ask('since', { at: Math.max(at, clock() - 500) })
    if (!moved.every((slot) => seen[slot].servedAt !== null)) return false
    const all = await publisher.ask('since', { at })
    return all.seen.filter(({ slot }) => moved.includes(slot))
  })
  return { pausesMs: own.map(({ worstMs }) => worstMs), failed: own.reduce((sum, { failed }) => sum + failed, 0) }
}

/** A worker is killed; of each slot that it served, the time until something that was published after that is committed, ms. */
export async function kill(fleet, publisher) {
  const [victim] = fleet.running
  const lost = await shareOf(fleet, victim)
  if (lost.length === 0) throw new Error(`${victim.id} has no slots`)
  await publisher.ask('forget')
  const at = clock()
  victim.signal('SIGKILL')
  const own = await until('every slot serves again', async () => {
    const { seen } = await publisher.ask('since', { at })
    const those = seen.filter(({ slot }) => lost.includes(slot))
    return those.every(({ servedAt }) => servedAt !== null) && those
  })
  return own.map(({ servedAt }) => servedAt - at)
}
