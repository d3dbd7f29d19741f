import type { Fault } from './fault.ts'

export interface Plan {
  readonly runs: readonly { readonly fault: Fault; readonly seed: number }[]
  /** Acknowledged publishes of a run, at the least. */
  readonly messages: number
  /** Whether this is the whole campaign, of which docs/faults.md tells. */
  readonly whole: boolean
}

/** The selection for every change: together below 5 minutes, each kind of fault once. */
const quick: ReadonlySet<string> = new Set([
  'edge-kill-resume',
  'worker-kill-during-commit',
  'commit-reply-lost',
  'worker-pause',
  'twin-worker',
  'control-pause',
  'redis-kill',
  'fail-over-lagging',
  'fail-over-lagging-owners-lost',
  'old-primary-writes',
  'redis-flushall',
  'redis-tail-lost',
  'redis-out-of-memory',
  'worker-partition-up',
  'edge-partition-down',
  'replies-lost',
  'outbox-trimmed',
  'one-byte-segments',
  'clock-forward-worker',
  'poison-message',
])
const quickMessages = 2_000
const fullMessages = 45_000
const fullSeeds = [1, 2, 3]

/**
 * What the environment asks for: `FAULTS=name,name` and `SEEDS=1,2` select, `FAULTS_MESSAGES` sets the load; `FAULTS_MODE=full` is
 * the campaign, everything else the quick selection. Throws on a name that is none.
 */
export function planOf(env: Readonly<Record<string, string | undefined>>, all: readonly Fault[]): Plan {
  const full = env['FAULTS_MODE'] === 'full'
  const named = listOf(env['FAULTS'])
  const unknown = named.filter((name) => all.every((fault) => fault.name !== name))
  if (unknown.length > 0)
    throw new Error(`no such fault: ${unknown.join(', ')}; there are ${all.map((fault) => fault.name).join(', ')}`)
  const chosen = named.length > 0 ? named : all.flatMap(({ name }) => (full || quick.has(name) ? [name] : []))
  const seeds =
    env['SEEDS'] === undefined ? (full ? fullSeeds : fullSeeds.slice(0, 1)) : listOf(env['SEEDS']).map(Number)
  const faults = all.filter(({ name }) => chosen.includes(name))
  return {
    runs: faults.flatMap((fault) => seeds.map((seed) => ({ fault, seed }))),
    messages: Number(env['FAULTS_MESSAGES'] ?? (full ? fullMessages : quickMessages)),
    whole: full && named.length === 0,
  }
}

const listOf = (text: string | undefined): string[] => (text ?? '').split(',').filter((each) => each !== '')
