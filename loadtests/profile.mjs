/**
 * make profile: a CPU profile and a heap summary of every Node process under every load, in out/profiles/<load>/, and on the
 * screen where the time went. --only path,pathPaced,hot,small,edges,idle,single,batches; --top n functions.
 */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { stayWithLoad } from './harness/cores.mjs'
import { placeOf, readProfile } from './harness/cpuprofile.mjs'
import { Crowd } from './harness/crowd.mjs'
import { deliver } from './harness/delivery.mjs'
import { ingestKey, withFleet } from './harness/fleet.mjs'
import { sleep, until } from './harness/processes.mjs'
import { grid } from './report/table.mjs'
import { loads, withCrowd } from './rows/fanout.mjs'
import { drive, withPath } from './rows/path.mjs'
import { singlePosts } from './rows/ways.mjs'

const { values: args } = parseArgs({ options: { only: { type: 'string' }, top: { type: 'string', default: '15' } } })
const folder = 'out/profiles'
const seconds = 5
const warmSeconds = 4
const connections = 5_000
const publishRooms = 512
/** Messages per second: a third of what the path does at the most. */
const pacedRate = 20_000

/** Profiles every process while `run` runs. */
async function recorded(fleet, run) {
  for (const each of fleet.profiled) each.signal('SIGUSR2')
  // The signal is taken in the next turn of the event loop, and the profiler needs a moment to start.
  await sleep(300)
  await run()
  for (const each of fleet.profiled) each.signal('SIGUSR2')
  await until('every process has written its profile', () =>
    fleet.profiled.every(({ id }) => existsSync(`${fleet.profiles}/${id}.heap.json`)),
  )
}

const delivering = (load, rate) => (profiles) =>
  withCrowd(load, { profiles }, async (parts) => {
    await deliver(parts, { rate, seconds: warmSeconds })
    await recorded(parts.fleet, () => deliver(parts, { rate, seconds }))
  })

/** Posts as fast as it goes. */
const posting = (how) => (profiles) =>
  withFleet({ ingest: true, profiles }, async (fleet) => {
    const publisher = fleet.load('publisher.mjs')
    const message = { port: fleet.ingest.port, key: ingestKey, rooms: publishRooms, rate: null, ...how }
    await publisher.ask('publish', { ...message, seconds: warmSeconds })
    await recorded(fleet, () => publisher.ask('publish', { ...message, seconds }))
  })

const profiled = {
  path: (profiles) =>
    withPath({ profiles }, async (parts) => {
      await drive(parts, { rate: null, seconds: warmSeconds })
      await recorded(parts.fleet, () => drive(parts, { rate: null, seconds }))
    }),
  pathPaced: (profiles) =>
    withPath({ profiles }, async (parts) => {
      await drive(parts, { rate: null, seconds: warmSeconds })
      await recorded(parts.fleet, () => drive(parts, { rate: pacedRate, seconds }))
    }),
  hot: delivering(loads.hot1000, 1_000),
  hotQuiet: delivering(loads.hot1000, 25),
  hot5000: delivering(loads.hot5000, 25),
  small: delivering(loads.small, 1_000),
  edges: delivering(loads.twoEdges, 1_000),
  idle: (profiles) =>
    withFleet({ edges: 1, profiles }, async (fleet) => {
      const [warm, crowd] = [
        await Crowd.prepare(fleet, { size: connections / 5, first: connections }),
        await Crowd.prepare(fleet, { size: connections }),
      ]
      await warm.open({ port: fleet.edges[0].port, rooms: 1_000 })
      await fleet.quiet()
      await recorded(fleet, () => crowd.open({ port: fleet.edges[0].port, rooms: 1_000 }))
    }),
  single: posting(singlePosts),
  batches: posting({ connections: 2 }),
}

const percent = (share) => `${(share * 100).toFixed(1)} %`
const megabytes = (bytes) => (bytes / 1_048_576).toFixed(1)

function describe(load, id) {
  const path = `${folder}/${load}/${id}`
  const { shares, top, seconds: took } = readProfile(`${path}.cpuprofile`)
  const heap = JSON.parse(readFileSync(`${path}.heap.json`, 'utf8'))
  const { idle, ...busy } = shares
  const kinds = Object.entries(busy).map(([kind, share]) => `${kind} ${percent(share)}`)
  const { rss, heapUsed, external } = heap.memory
  const alive = heap.allocators.slice(0, 8).map(({ place, bytes }) => {
    const [, name, url, line] = /^(.*) (\S*):(\d+)$/.exec(place) ?? [place, place, '', '1']
    return `${megabytes(bytes)} MB ${name} ${placeOf({ url, lineNumber: Number(line) - 1, columnNumber: 0 })}`
  })
  const columns = {
    self: (row) => percent(row.share),
    function: ({ name }) => name,
    place: ({ place }) => place,
  }
  return [
    `## ${load}: ${id}, ${percent(1 - idle)} of ${took.toFixed(1)} s busy, ${heap.cores.toFixed(2)} cores of CPU`,
    `Of the busy time: ${kinds.join(', ')}.`,
    grid(columns, top.slice(0, Number(args.top))),
    `Memory: ${megabytes(rss)} MB resident, heap ${megabytes(heapUsed)} MB, buffers ${megabytes(external)} MB. Alive by allocator:`,
    ...alive.map((each) => `- ${each}`),
  ].join('\n')
}

stayWithLoad()
const chosen = args.only?.split(',') ?? Object.keys(profiled)
for (const load of chosen) {
  if (!(load in profiled)) throw new Error(`no load is called ${load}: ${Object.keys(profiled).join(', ')}`)
  const profiles = `${folder}/${load}`
  rmSync(profiles, { recursive: true, force: true })
  mkdirSync(profiles, { recursive: true })
  process.stderr.write(`profiling: ${load}\n`)
  await profiled[load](profiles)
  const ids = readdirSync(profiles).flatMap((name) => (name.endsWith('.cpuprofile') ? [name.slice(0, -11)] : []))
  const text = ids.map((id) => describe(load, id)).join('\n\n')
  writeFileSync(`${profiles}/summary.md`, `${text}\n`)
  process.stdout.write(`${text}\n\n`)
}
process.exit(0)
