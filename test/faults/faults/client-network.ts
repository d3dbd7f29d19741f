import { wait } from '@flotilla/node/backoff'
import { sumMetric } from '../../fleet/metrics.ts'
import { until } from '../../fleet/until.ts'
import type { Fault } from '../fault.ts'

/** Library clients come back as such, the others as newcomers. */
const fewAccepts = { FLOTILLA_EDGE_ACCEPTS_PER_SECOND: '10', FLOTILLA_EDGE_RESUMES_PER_SECOND: '10' }

export const clientNetworks: readonly Fault[] = [
  {
    name: 'client-half-open',
    about: 'The connections of four clients carry nothing any more, and nobody is told, for 7 s.',
    needs: { clientLinks: 4 },
    async inject({ clientLinks, count }) {
      for (const link of clientLinks) link.set('both', { held: true })
      await wait(7_000)
      for (const link of clientLinks) {
        count('bytesHeld', link.counters.down.heldBytes)
        link.clear()
      }
    },
    evidence: ({ recorder }) =>
      Promise.resolve({ connectionsGivenUp: recorder.lines.filter((line) => line.type === 'disconnect').length }),
  },
  {
    name: 'one-byte-segments',
    about: 'What two clients send and are sent comes in segments of one byte, with resets in the middle of frames.',
    needs: { clientLinks: 2, rate: 150 },
    async inject({ clientLinks, traffic, count }) {
      for (const link of clientLinks) link.set('both', { sliceBytes: 1 })
      for (let round = 0; round < 4; round += 1) {
        await traffic.more(200)
        for (const link of clientLinks) count('resets', link.reset())
      }
      await traffic.more(200)
      for (const link of clientLinks) {
        count('segments', link.counters.up.segments + link.counters.down.segments)
        link.clear()
      }
    },
  },
  {
    name: 'slow-consumer',
    about: 'A client reads 40 kB/s of more than 1 MB/s, until the edge closes it (4008); it resumes.',
    needs: { clientLinks: 1, rate: 500, padding: 8_000 },
    async inject({ clientLinks, fleet }) {
      for (const link of clientLinks) link.set('down', { bytesPerSecond: 40_000 })
      const closed = async (): Promise<boolean> =>
        (await sumMetric(fleet.edges, 'flotilla_edge_closes_total', '"4008"')) > 0
      await until('the edge closes it', closed, 60_000)
      for (const link of clientLinks) {
        link.clear()
        link.reset()
      }
    },
    evidence: async ({ fleet, total }) => ({
      closedAsSlow: await total(fleet.edges, 'flotilla_edge_closes_total', '"4008"'),
    }),
  },
  {
    name: 'reconnect-storm',
    about:
      'All of 150 connections are cut at once; edges accept 10 per second each, let some wait and turn the others away.',
    needs: {
      rawClients: 142,
      rate: 200,
      env: { 'edge-1': fewAccepts, 'edge-2': fewAccepts },
    },
    async inject({ balancer, traffic, count }) {
      count('connectionsCut', await traffic.reconnected(balancer.cut, 60_000))
    },
    evidence: async ({ fleet, total }) => ({
      turnedAway: await total(fleet.edges, 'flotilla_edge_turned_away_total'),
    }),
  },
]
