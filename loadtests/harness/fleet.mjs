// A fleet of real processes with a Redis of its own, for one load.
import { mkdirSync } from 'node:fs'
import { startRedis } from '@flotilla/node/testing/redis-server'
import { onCore } from './cores.mjs'
import { cpuOf, machineCpu, sleep, startFlags, startLoad, startService, startYardstick, until } from './processes.mjs'

export const secret = 'bench-secret-bench-secret-bench-secret-01'
export const ingestKey = 'bench-ingest-key-0123456789'
const slots = 128
/** Heartbeats of an idle fleet and keep-alive of its connections stay below this. */
const calmCores = 0.25

/**
 * Starts it and waits until every slot is owned. Options: how many `primaries`, `workers` and `edges`, whether `ingest`,
 * `fsync` (append-only file, synced at every write), `pinned` (servers on one core, load on the other; else both on both),
 * `profiles` (a folder for profiles), `edgeEnv` (settings of edges).
 */
async function startFleet(options = {}) {
  const { primaries, workers, edges, ingest, fsync, pinned, profiles, edgeEnv } = { ...usual, ...options }
  const place = pinned ? 'servers' : 'free'
  const redises = []
  for (let i = 0; i < primaries; i += 1) {
    redises.push(await startRedis({ prefix: onCore(place), appendonly: fsync }))
  }
  const yardstick = await startYardstick(place)
  const fleet = new Fleet(redises, yardstick, { place, loadPlace: pinned ? 'load' : 'free', profiles })
  try {
    // Before control: it spreads the slots over the workers that it finds, and one that comes later gets its share slowly.
    for (let i = 1; i <= workers; i += 1) await fleet.serve('shard', `shard-${i}`)
    await owned(await fleet.serve('control', 'control-1'))
    for (let i = 1; i <= edges; i += 1) fleet.edges.push(await fleet.serve('edge', `edge-${i}`, edgeEnv))
    if (ingest) fleet.ingest = await fleet.serve('ingest', 'ingest-1', { FLOTILLA_INGEST_KEYS: `bench:${ingestKey}` })
    return fleet
  } catch (error) {
    await fleet.stop()
    throw error
  }
}

/** All clients come from one machine within seconds: the limit of accepts is not what is measured. */
const edgeSettings = {
  FLOTILLA_JWT_SECRET: secret,
  FLOTILLA_EDGE_ACCEPTS_PER_SECOND: '100000',
  FLOTILLA_EDGE_RESUMES_PER_SECOND: '100000',
}

const usual = { primaries: 1, workers: 1, edges: 0, ingest: false, fsync: false, pinned: true, edgeEnv: edgeSettings }

class Fleet {
  edges = []
  ingest = undefined
  #services = []
  #loads = []
  #yardstick
  #places

  constructor(primaries, yardstick, places) {
    this.primaries = primaries
    this.#yardstick = yardstick
    this.env = { FLOTILLA_REDIS_URL: primaries.map(({ url }) => url).join(',') }
    this.#places = places
  }

  /** The first primary. */
  get redis() {
    return this.primaries[0]
  }

  /** The folder that profiles go to, if any. */
  get profiles() {
    return this.#places.profiles
  }

  /** The processes of a role: worker, edge, ingest, control. */
  all(role) {
    return this.#services.flatMap((each) => (each.role === role ? [each.process] : []))
  }

  /** Every process of the fleet, by role. */
  get services() {
    return this.#services
  }

  #nodeArgs(id) {
    const { profiles } = this.#places
    if (profiles === undefined) return {}
    mkdirSync(profiles, { recursive: true })
    return { nodeArgs: ['--import', './loadtests/profiled.mjs'], env: { BENCH_PROFILE: `${profiles}/${id}` } }
  }

  async serve(service, id, env = {}) {
    const { nodeArgs, env: profiling } = this.#nodeArgs(id)
    const options = { id, env: { ...this.env, ...env, ...profiling }, place: this.#places.place, nodeArgs }
    const started = await startService(service, options)
    this.#services.push({ role: service === 'shard' ? 'worker' : service, process: started })
    return started
  }

  /**
   * A load process. `role`: what it stands for where it is a part of the path that is measured; `service`: the one that it
   * is then started like.
   */
  load(file, { id = file, env = {}, role = 'load', service } = {}) {
    const { nodeArgs = [], env: profiling } = role === 'load' ? {} : this.#nodeArgs(id)
    const own = { ...this.env, ...env, ...profiling }
    const args = [...nodeArgs, ...(service === undefined ? [] : startFlags(service))]
    const started = startLoad(file, { id, env: own, place: this.#places.loadPlace, nodeArgs: args })
    this.#loads.push({ role, process: started })
    return started
  }

  /** Every process that can write a profile. */
  get profiled() {
    return [...this.#services, ...this.#loads.filter(({ role }) => role !== 'load')].map((each) => each.process)
  }

  /** What was spent so far: seconds of CPU by role. `load` are the processes that only make load, or measure. */
  cpu() {
    const redis = this.primaries.reduce((sum, { pid }) => sum + cpuOf(pid), 0)
    const spent = { redis, load: cpuOf(process.pid) + cpuOf(this.#yardstick.pid) }
    for (const { role, process: each } of [...this.#services, ...this.#loads]) {
      spent[role] = (spent[role] ?? 0) + cpuOf(each.pid)
    }
    return { atMs: performance.now(), machine: machineCpu(), spent, yardstick: [...this.#yardstick.rounds] }
  }

  /** Resolves when the servers do next to nothing: what came before is over. At the latest after 10 s. */
  async quiet() {
    for (let i = 0, calm = 0; i < 40 && calm < 2; i += 1) {
      const before = this.cpu()
      await sleep(250)
      const { cores } = costPer(before, this.cpu(), 1)
      calm = cores.servers < calmCores ? calm + 1 : 0
    }
  }

  async stop() {
    await Promise.all(this.#loads.map((each) => each.process.stop()))
    // Edges and ingest sign off at the store, and control hands the worker's slots to nobody.
    await Promise.all(this.#services.map((each) => each.process.stop()))
    await Promise.all([this.#yardstick.stop(), ...this.primaries.map((each) => each.close())])
  }
}

/**
 * What was spent between two counts of `cpu()`: microseconds per unit by role, how many cores that kept busy, and what a round of
 * the yardstick cost meanwhile, microseconds: the median, as the garbage of one round is collected in another (null when it had none).
 */
export function costPer(before, after, units) {
  const seconds = (after.atMs - before.atMs) / 1_000
  const used = Object.fromEntries(
    Object.entries(after.spent).map(([role, spent]) => [role, spent - (before.spent[role] ?? 0)]),
  )
  const { load } = used
  const servers = Object.values(used).reduce((sum, each) => sum + each, 0) - load
  const rounds = after.yardstick.slice(before.yardstick.length).toSorted((a, b) => a - b)
  const others = Math.max(0, after.machine - before.machine - servers - load)
  return {
    microseconds: Object.fromEntries(
      Object.entries({ ...used, servers }).map(([role, spent]) => [role, (spent / units) * 1e6]),
    ),
    cores: { servers: servers / seconds, load: load / seconds, others: others / seconds },
    yardstick: rounds[Math.floor(rounds.length / 2)] ?? null,
  }
}

/** Resolves when every slot is owned and no move is under way. */
async function owned(control) {
  await until('every slot is owned', async () => {
    const fleet = await fetch(`http://127.0.0.1:${control.port}/v1/fleet`).then((response) => response.json())
    const planned = Object.values(fleet.plan?.slots ?? {}).flat().length
    return planned === slots && fleet.plan.inFlight.length === 0 && fleet.plan.orphans.length === 0
  })
}

/** Runs with a fleet, and ends it whatever happens. */
export async function withFleet(options, run) {
  const fleet = await startFleet(options)
  try {
    return await run(fleet)
  } finally {
    await fleet.stop()
  }
}
