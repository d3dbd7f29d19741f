import { wait } from '@flotilla/node/backoff'
import type { Fault } from '../fault.ts'

/** What a process is given to end, ms: too little for a drain. */
const graceMs = 150

export const eviction: Fault = {
  name: 'eviction',
  about: 'An edge, a worker and ingest get a SIGTERM and, 150 ms later, a SIGKILL in the middle of their drain.',
  async inject({ fleet, any, count }) {
    for (const each of [any(fleet.edges), any(fleet.workers), any(fleet.ingests)]) {
      const ended = each.ending()
      each.signal('SIGTERM')
      await wait(graceMs)
      each.signal('SIGKILL')
      const { signal } = await ended
      count('killedWhileDraining', signal === 'SIGKILL' ? 1 : 0)
      await each.start()
      await fleet.settled(60_000)
    }
  },
}
