import { freePort } from '@flotilla/node/testing/free-port'
import { createProcess, isReady } from './process.ts'
import type { FleetProcess, ServiceName } from './process.ts'
import { until } from './until.ts'

export interface FleetOptions {
  /** One for all processes, or one for each by its name. */
  readonly redisUrl: string | ((name: string) => string)
  readonly edges: number
  readonly workers: number
  readonly controls: number
  readonly ingests: number
  /** Further settings of every process. */
  readonly env?: Readonly<Record<string, string>>
  /** Further settings of single processes, by name. */
  readonly envOf?: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** Arguments of every process's node. */
  readonly nodeArgs?: readonly string[]
}

export interface Fleet {
  readonly edges: readonly FleetProcess[]
  readonly workers: readonly FleetProcess[]
  readonly controls: readonly FleetProcess[]
  readonly ingests: readonly FleetProcess[]
  readonly all: readonly FleetProcess[]
  readonly secret: string
  readonly ingestKey: string
  /** What a control process, any that runs by default, says of the fleet; undefined while it cannot say. */
  view(of?: FleetProcess): Promise<FleetView | undefined>
  /** Resolves when every slot is owned by a live worker and every running process is ready. */
  settled(withinMs?: number): Promise<void>
  complaints(): readonly string[]
  /** Ends every process; resolves when none is left. */
  stop(): Promise<void>
}

/** More than one, so that lanes are told apart. */
export const lanes = 4
export const secret = 'test-secret-test-secret-test-secret-0123456789'
export const ingestKey = 'test-ingest-key-0123456789'

/** Starts the processes of a fleet over one store and waits until it serves. Stops them all when one does not start. */
export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const groups = {
    controls: await group('control', options.controls, options),
    workers: await group('shard', options.workers, options),
    edges: await group('edge', options.edges, options),
    ingests: await group('ingest', options.ingests, options),
  }
  const all = Object.values(groups).flat()
  const fleet: Fleet = {
    ...groups,
    all,
    secret,
    ingestKey,
    view: (of) => viewOf(of ?? groups.controls.find((each) => each.running)),
    settled: (withinMs) => settled(fleet, withinMs),
    complaints: () => all.flatMap((each) => each.complaints()),
    stop: async () => {
      await Promise.all(all.map((each) => each.kill('SIGKILL')))
    },
  }
  const starts = await Promise.allSettled(all.map((each) => each.start()))
  try {
    for (const start of starts) if (start.status === 'rejected') throw start.reason
    await fleet.settled()
  } catch (error) {
    await fleet.stop()
    throw error
  }
  return fleet
}

async function group(service: ServiceName, count: number, options: FleetOptions): Promise<FleetProcess[]> {
  const prefix = `FLOTILLA_${service.toUpperCase()}`
  return Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const name = `${service}-${i + 1}`
      const [port, adminPort] = [service === 'shard' ? 0 : await freePort(), await freePort()]
      const env = {
        FLOTILLA_REDIS_URL: typeof options.redisUrl === 'string' ? options.redisUrl : options.redisUrl(name),
        FLOTILLA_LANES: String(lanes),
        FLOTILLA_MEMBER_ID: name,
        FLOTILLA_ADMIN_HOST: '127.0.0.1',
        [`${prefix}_ADMIN_PORT`]: String(adminPort),
        ...(service === 'shard' ? {} : { [`${prefix}_PORT`]: String(port), [`${prefix}_HOST`]: '127.0.0.1' }),
        ...(service === 'edge' ? { FLOTILLA_JWT_SECRET: secret } : {}),
        ...(service === 'ingest' ? { FLOTILLA_INGEST_KEYS: `test:${ingestKey}` } : {}),
        ...options.env,
        ...options.envOf?.[name],
      }
      return createProcess({ name, service, port, adminPort, env, nodeArgs: options.nodeArgs ?? [] })
    }),
  )
}

/** The part of `GET /v1/fleet` that is looked at. */
interface FleetView {
  /** The leading control process, as far as this one knows. */
  readonly leader: string | null
  readonly observedMsAgo: number | null
  readonly plan: {
    readonly slots: Readonly<Record<string, readonly number[]>>
    readonly inFlight: readonly number[]
    readonly orphans: readonly number[]
  }
  readonly members: readonly {
    readonly boot: string
    readonly role: string
    readonly state: string
    readonly ageMs: number
  }[]
}

async function viewOf(control: FleetProcess | undefined): Promise<FleetView | undefined> {
  if (control === undefined) return undefined
  try {
    const response = await fetch(`http://127.0.0.1:${control.port}/v1/fleet`, { signal: AbortSignal.timeout(2_000) })
    return response.ok ? ((await response.json()) as FleetView) : undefined
  } catch {
    return undefined
  }
}

/** What control last read is older than this when the store does not answer it, ms. */
const staleMs = 1_000

/** Freshly read: as many live members of each role as processes run, and every slot owned by one of the workers. */
function isWhole(view: FleetView, fleet: Fleet): boolean {
  const { members, plan } = view
  if (view.observedMsAgo === null || view.observedMsAgo > staleMs) return false
  const live = members.filter((each) => each.state === 'live')
  const count = (role: string): number => live.filter((each) => each.role === role).length
  const running = (processes: readonly FleetProcess[]): number => processes.filter((each) => each.running).length
  const owners = Object.keys(plan.slots)
  return (
    plan.inFlight.length === 0 &&
    plan.orphans.length === 0 &&
    count('shard') === running(fleet.workers) &&
    count('edge') === running(fleet.edges) &&
    count('ingest') === running(fleet.ingests) &&
    owners.every((boot) => live.some((each) => each.boot === boot))
  )
}

async function settled(fleet: Fleet, withinMs = 30_000): Promise<void> {
  let last: FleetView | undefined
  await until(
    'the fleet is whole',
    async () => {
      last = await fleet.view()
      if (last === undefined || !isWhole(last, fleet)) return false
      const ready = await Promise.all(fleet.all.filter((each) => each.running).map((each) => isReady(each.adminPort)))
      return ready.every(Boolean)
    },
    withinMs,
  ).catch((error: unknown) => {
    const tails = fleet.all.map((each) => `--- ${each.name}\n${each.tail(8)}`).join('\n')
    throw new Error(`${String(error)}\n${JSON.stringify({ ...last, plan: undefined })}\n${tails}`)
  })
}
