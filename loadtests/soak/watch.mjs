// A sample of every server: memory, CPU, what it holds.
import { costPer } from '../harness/fleet.mjs'
import { cpuOf, rssOf } from '../harness/processes.mjs'
import { inventory } from './inventory.mjs'

const names = {
  heapBytes: 'nodejs_heap_size_used_bytes',
  connections: 'flotilla_edge_connections',
  windowBytes: 'flotilla_endpoint_window_bytes',
  inFlight: 'flotilla_ingest_publishes_in_flight',
  messages: 'flotilla_shard_messages_total',
}

/** `take(latencies)`: a sample now; what passed is since the last one. */
export function watch(fleet) {
  const startedAt = performance.now()
  const samples = []
  let before = { atMs: startedAt, spent: new Map(), all: fleet.cpu() }

  async function take({ p50Ms, p99Ms }) {
    const atMs = performance.now()
    const all = fleet.cpu()
    const spent = new Map()
    const cores = (id, pid) => {
      spent.set(id, cpuOf(pid))
      return (spent.get(id) - (before.spent.get(id) ?? spent.get(id))) / ((atMs - before.atMs) / 1_000)
    }
    const { kinds, usedBytes } = await inventory(fleet.redis)
    const processes = {
      redis: { rss: rssOf(fleet.redis.pid) * 1_024, heap: usedBytes, cores: cores('redis', fleet.redis.pid) },
    }
    const held = { connections: 0, windowBytes: 0, inFlight: 0, messages: 0 }
    for (const { process } of fleet.services) {
      const { heapBytes, ...figures } = await process.metrics(Object.values(names)).then(byOwnName)
      processes[process.id] = {
        rss: rssOf(process.pid) * 1_024,
        heap: heapBytes,
        cores: cores(process.id, process.pid),
      }
      held.connections += figures.connections
      held.messages += figures.messages
      held.windowBytes = Math.max(held.windowBytes, figures.windowBytes)
      held.inFlight = Math.max(held.inFlight, figures.inFlight)
    }
    const { others } = costPer(before.all, all, 1).cores
    samples.push({ seconds: (atMs - startedAt) / 1_000, p50Ms, p99Ms, othersCores: others, processes, held, kinds })
    before = { atMs, spent, all }
    return samples.at(-1)
  }
  return { samples, take }
}

const byOwnName = (figures) => Object.fromEntries(Object.entries(names).map(([own, name]) => [own, figures[name]]))
