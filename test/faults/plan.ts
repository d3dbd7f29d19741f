import type { Fault } from './fault.ts'

export interface Load {
  /** Acknowledged publishes of a run, at the least; of a fault with a rate of its own as many as take the same time. */
  readonly messages: number
  /** Publishes begun per second. */
  readonly rate: number
}

/** `whole`: every fault, seed and message of the campaign. `quick`: the selection, as it is. `part`: whatever else was asked for. */
export type Mode = 'whole' | 'quick' | 'part'

export interface Plan {
  readonly mode: Mode
  readonly runs: readonly { readonly fault: Fault; readonly seed: number }[]
  readonly load: Load
}

/**
 * The selection for every change, together below 5 minutes: of edges, workers, control, Redis, its fail-over and the network those faults
 * in which most can go wrong at once. Only the whole campaign has clocks, clients' networks, slow, full and stalled servers, restarts in
 * turn, evictions and poison.
 */
const quick: ReadonlySet<string> = new Set([
  'edge-kill-resume',
  'worker-kill-during-commit',
  'commit-reply-lost',
  'zombie-commit',
  'control-pause',
  'redis-kill',
  'fail-over-lagging',
  'fail-over-lagging-owners-lost',
  'fail-over-acknowledged-by-replica',
  'old-primary-writes',
  'redis-flushall',
  'redis-tail-lost',
  'worker-partition-up',
  'replies-lost',
  'outbox-trimmed',
])
const quickLoad: Load = { messages: 2_000, rate: 1_000 }
/** Five million and more in the whole campaign. */
const fullLoad: Load = { messages: 36_000, rate: 2_500 }
const fullSeeds = [1, 2, 3]

/**
 * What the environment asks for: `FAULTS=name,name` and `SEEDS=1,2` select, `FAULTS_MESSAGES` and `FAULTS_RATE` say how many and how fast; `FAULTS_MODE=full` is
 * the campaign, everything else the quick selection. Throws on a name that is none.
 */
export function planOf(env: Readonly<Record<string, string | undefined>>, all: readonly Fault[]): Plan {
  const full = env['FAULTS_MODE'] === 'full'
  const load = full ? fullLoad : quickLoad
  const named = listOf(env['FAULTS'])
  const unknown = named.filter((name) => all.every((fault) => fault.name !== name))
  if (unknown.length > 0)
    throw new Error(`no such fault: ${unknown.join(', ')}; there are ${all.map((fault) => fault.name).join(', ')}`)
  const chosen = named.length > 0 ? named : all.flatMap(({ name }) => (full || quick.has(name) ? [name] : []))
  const seeds =
    env['SEEDS'] === undefined ? (full ? fullSeeds : fullSeeds.slice(0, 1)) : listOf(env['SEEDS']).map(Number)
  const faults = all.filter(({ name }) => chosen.includes(name)).map(full ? asIs : untimed)
  return {
    runs: seeds.flatMap((seed) => faults.map((fault) => ({ fault, seed }))),
    load: {
      messages: Number(env['FAULTS_MESSAGES'] ?? load.messages),
      rate: Number(env['FAULTS_RATE'] ?? load.rate),
    },
    mode: narrowing.some((name) => listOf(env[name]).length > 0) ? 'part' : full ? 'whole' : 'quick',
  }
}

/** Times of their own are for the campaign: what runs with every change may run on a busy machine. */
function untimed(fault: Fault): Fault {
  const { healWithinMs, ...rest } = fault
  return healWithinMs === undefined ? fault : rest
}
const asIs = (fault: Fault): Fault => fault

/** Whoever sets one of these asks for something else than the whole, or the quick selection. */
const narrowing = ['FAULTS', 'SEEDS', 'FAULTS_MESSAGES', 'FAULTS_RATE']

const listOf = (text: string | undefined): string[] => (text ?? '').split(',').filter((each) => each !== '')
