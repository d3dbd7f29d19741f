// Clients and publishes from outside of the cluster, and what each saw.
import { startLoad, until } from '../harness/processes.mjs'
import { clock, latencies } from '../harness/samples.mjs'
import { startPublisher } from '../rollout/publisher.mjs'
import { judge } from '../rollout/report.mjs'

const roomSize = 10
const crowdsCount = 2

/** `edge`, `ingest`: `{ host, port }` of the Services. */
export async function startTraffic({ edge, ingest, secret, key, clients, rate }) {
  const rooms = Math.max(1, Math.round(clients / roomSize))
  const crowds = Array.from({ length: crowdsCount }, () => startLoad('rollout-client.mjs', { place: 'free' }))
  /** What clients saw who are not there any more. */
  const gone = { views: [], disconnected: 0, told: 0 }
  let users = clients
  const share = Math.ceil(clients / crowdsCount)
  await Promise.all(
    crowds.map((crowd, i) => crowd.ask('open', { ...edge, secret, count: share, first: i * share, rooms })),
  )
  let slowest = { sinceMs: Infinity, waits: new Map() }
  let longestMs = 0
  const onAck = (room, dueMs) => {
    longestMs = Math.max(longestMs, clock() - dueMs)
    if (dueMs >= slowest.sinceMs && !slowest.waits.has(room)) slowest.waits.set(room, clock() - slowest.sinceMs)
  }
  const publisher = startPublisher({ ...ingest, key, rate, rooms, onAck })

  const report = async () => {
    const reports = await Promise.all(crowds.map((crowd) => crowd.ask('report')))
    return {
      views: [...reports.flatMap((each) => each.views), ...gone.views],
      delivered: reports.reduce((sum, { delivered }) => sum + delivered, 0),
      disconnected: reports.reduce((sum, { seen }) => sum + seen.disconnected, gone.disconnected),
      told: reports.reduce((sum, { seen }) => sum + seen.told, gone.told),
    }
  }
  return {
    rooms,
    report,
    /** So many more clients in the same rooms. Resolves with what makes them go away again. */
    more: async (count) => {
      const crowd = startLoad('rollout-client.mjs', { place: 'free' })
      const first = users
      users += count
      await crowd.ask('open', { ...edge, secret, count, first, rooms })
      return async () => {
        const { views, seen } = await crowd.ask('leave')
        gone.views.push(...views)
        gone.disconnected += seen.disconnected
        gone.told += seen.told
        await crowd.stop()
      }
    },
    /** The longest time from when an event was due to its acknowledgement since this was asked last, ms: as long was some slot not served. */
    longestWaitMs: () => {
      const longest = Math.round(longestMs)
      longestMs = 0
      return longest
    },
    /** From now on: ms until every room has acknowledged an event that was due later than now. */
    heals: async (withinMs = 120_000) => {
      slowest = { sinceMs: clock(), waits: new Map() }
      await until('every room acknowledges again', () => slowest.waits.size === rooms, withinMs)
      return Math.round(Math.max(...slowest.waits.values()))
    },
    /** Ends publishing, waits until everything has come, and judges. */
    finish: async () => {
      await publisher.stop()
      const expected = Array.from(publisher.heads.values()).reduce((sum, head) => sum + head * roomSize, 0)
      await until('everything has been delivered', async () => (await report()).delivered >= expected, 60_000).catch(
        () => {},
      )
      const delays = await Promise.all(crowds.map((crowd) => crowd.ask('delays')))
      const all = delays.reduce((sum, each) => each.delays.map((count, ms) => count + (sum[ms] ?? 0)), [])
      const { p50Ms, p99Ms } = latencies(all.flatMap((count, ms) => Array(count).fill(ms)))
      const { views, told, disconnected } = await report()
      const verdict = judge(views, publisher)
      for (const crowd of crowds) await crowd.stop()
      return { events: publisher.sum.events, ...verdict, told, disconnected, delayMs: { p50: p50Ms, p99: p99Ms } }
    },
  }
}
