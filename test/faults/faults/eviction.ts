import { wait } from '@flotilla/node/backoff'
import type { FleetProcess } from '../../fleet/process.ts'
import type { Fault } from '../fault.ts'

/** What a process is given to end, ms: too little for a drain. */
const graceMs = 150

/** Sends a SIGTERM and, a moment later, a SIGKILL. Returns whether it was draining when it was killed. */
async function evict(target: FleetProcess): Promise<boolean> {
  const drains = (): number => target.logged('draining').length
  const before = drains()
  const ended = target.ending()
  target.signal('SIGTERM')
  await wait(graceMs)
  target.signal('SIGKILL')
  const { signal } = await ended
  return signal === 'SIGKILL' && drains() > before
}

export const eviction: Fault = {
  name: 'eviction',
  about: 'An edge, a worker and ingest get a SIGTERM and, 150 ms later, a SIGKILL in the middle of their drain.',
  async inject({ fleet, any, count }) {
    const targets = { edge: any(fleet.edges), worker: any(fleet.workers), ingest: any(fleet.ingests) }
    for (const [role, target] of Object.entries(targets)) {
      count(`killedWhileDraining ${role}`, (await evict(target)) ? 1 : 0)
      await target.start()
      await fleet.settled(60_000)
    }
  },
}
