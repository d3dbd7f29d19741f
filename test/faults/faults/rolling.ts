import type { FleetProcess } from '../../fleet/process.ts'
import type { Fault } from '../fault.ts'

/** Ends it as a platform does. Throws when it does not end well. */
async function end(each: FleetProcess): Promise<void> {
  const { code } = await each.kill('SIGTERM')
  if (code !== 0) throw new Error(`${each.name} ended with ${code}`)
}

export const rolling: readonly Fault[] = [
  {
    name: 'rolling-restart',
    about:
      'Every process of every tier is ended (SIGTERM) and started again, one after the other, under load; no client of the library sees a disconnect.',
    needs: { controls: 2 },
    async inject({ fleet, count }) {
      for (const each of fleet.all) {
        await end(each)
        await each.start()
        await fleet.settled(60_000)
        count('restarted', 1)
      }
    },
    evidence: async ({ recorder }) => ({
      disconnectsSeen: recorder.lines.filter((line) => line.type === 'disconnect' && line.client.startsWith('library-'))
        .length,
    }),
    never: ['disconnectsSeen'],
  },
  {
    name: 'hot-room-moves',
    about: 'One room has 70 % of the publishes, and its slot is moved from worker to worker.',
    needs: { workers: 3, hotShare: 0.7 },
    async inject({ fleet, traffic, count }) {
      for (const worker of fleet.workers) {
        await end(worker)
        await traffic.more(300)
        await worker.start()
        await fleet.settled(60_000)
        count('drained', 1)
      }
    },
    evidence: async ({ fleet, total }) => ({
      slotsMoved: await total(fleet.controls, 'flotilla_control_moves_total', 'drain'),
    }),
  },
]
