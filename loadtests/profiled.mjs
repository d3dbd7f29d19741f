/**
 * Loaded before a process that is to be profiled (`node --import`). SIGUSR2 begins, the next one ends and writes
 * `<BENCH_PROFILE>.cpuprofile` and `.heap.json`: only the load is in them, neither start nor warming up.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import { getHeapSpaceStatistics } from 'node:v8'

const file = process.env.BENCH_PROFILE
/** Time between two looks at what runs, µs. */
const intervalUs = 500
/** One allocation in so many bytes is remembered with its place. */
const samplingBytes = 65_536

const session = new Session()
session.connect()
// From the start: what a process holds was mostly allocated before the load is at its height.
await session.post('HeapProfiler.startSampling', { samplingInterval: samplingBytes })
let running = false
let began

async function begin() {
  await session.post('Profiler.enable')
  await session.post('Profiler.setSamplingInterval', { interval: intervalUs })
  await session.post('Profiler.start')
  began = { cpu: process.cpuUsage(), atMs: performance.now() }
}

/** Bytes that are alive by the function that allocated them. */
function allocators(node, into = new Map()) {
  const { functionName, url, lineNumber } = node.callFrame
  const place = `${functionName || '(anonymous)'} ${url}:${lineNumber + 1}`
  if (node.selfSize > 0) into.set(place, (into.get(place) ?? 0) + node.selfSize)
  for (const child of node.children) allocators(child, into)
  return into
}

async function end() {
  const { user, system } = process.cpuUsage(began.cpu)
  const took = performance.now() - began.atMs
  const { profile } = await session.post('Profiler.stop')
  writeFileSync(`${file}.cpuprofile`, JSON.stringify(profile))
  const memory = process.memoryUsage()
  const { profile: sampled } = await session.post('HeapProfiler.getSamplingProfile')
  const alive = [...allocators(sampled.head)].map(([place, bytes]) => ({ place, bytes }))
  const top = alive.toSorted((a, b) => b.bytes - a.bytes).slice(0, 40)
  // A profile counts the time in which the process had no core; this does not.
  const cores = (user + system) / 1_000 / took
  const heap = { cores, memory, spaces: getHeapSpaceStatistics(), allocators: top }
  // Whoever waits for the file finds it whole.
  writeFileSync(`${file}.heap.part`, JSON.stringify(heap, null, 1))
  renameSync(`${file}.heap.part`, `${file}.heap.json`)
}

process.on('SIGUSR2', () => {
  running = !running
  void (running ? begin() : end())
})
