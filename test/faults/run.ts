import { check } from './checks/check.ts'
import { evidenceOf, unproved } from './evidence.ts'
import type { Evidence, Fault } from './fault.ts'
import { readConnections, readLogs } from './harness/logs.ts'
import { startWorld } from './harness/world.ts'
import type { World } from './harness/world.ts'
import type { Line, Logged } from './history.ts'
import type { Load } from './plan.ts'
import { repeatSome } from './traffic/repeats.ts'
import { rooms } from './traffic/rooms.ts'
import { until } from '../fleet/until.ts'

export interface Result {
  readonly fault: string
  readonly seed: number
  readonly acknowledged: number
  /** Acknowledged again when they were published again. */
  readonly repeated: number
  readonly delivered: number
  readonly unknown: number
  readonly refused: number
  readonly told: number
  readonly lostAndTold: number
  readonly healMs: number | null
  readonly durationMs: number
  readonly evidence: Evidence
  readonly violations: readonly string[]
}

/** Acknowledged before the fault: at least so many, and up to as many more by the seed. */
const warmUp = 300
/** After the fault was healed, at the least. */
const afterwards = 500
const settleMs = 60_000
const drainMs = 45_000
const defaultHealMs = 15_000

type Judged = Result & { readonly history: readonly Line[] }

/** Lets a fault happen in a fleet under load, and judges the history. A run that cannot be judged is a violation too. */
export async function runFault(fault: Fault, seed: number, load: Load): Promise<Judged> {
  try {
    return await judge(fault, seed, load)
  } catch (error) {
    const none = { acknowledged: 0, repeated: 0, delivered: 0, unknown: 0, refused: 0, told: 0, lostAndTold: 0 }
    const why = `it could not be judged: ${error instanceof Error ? error.message : String(error)}`
    const known = { fault: fault.name, seed, healMs: null, durationMs: 0 }
    return { ...known, ...none, evidence: {}, history: [], violations: [why] }
  }
}

async function judge(fault: Fault, seed: number, { messages, rate }: Load): Promise<Judged> {
  const began = performance.now()
  const needs = { ...fault.needs, rate: fault.needs?.rate ?? rate }
  const world = await startWorld(needs, seed)
  try {
    const { before, trouble } = await play(world, fault, Math.round((messages * needs.rate) / rate))
    const drained = await drain(world)
    const after = trouble.length > 0 ? before : ((await fault.evidence?.(world)) ?? {})
    const evidence = evidenceOf(world.counted, before, after)
    const history = [...world.recorder.lines, ...drained.logs]
    const { violations, ...figures } = check(history, {
      mayLose: fault.mayLose ?? false,
      mayTell: fault.mayTell ?? [],
      healWithinMs: fault.healWithinMs ?? defaultHealMs,
    })
    return {
      ...{ fault: fault.name, seed, ...figures, durationMs: Math.round(performance.now() - began), evidence, history },
      violations: [
        ...trouble,
        ...drained.trouble,
        ...(trouble.length > 0 ? [] : [...unproved(evidence, fault.never), ...unrepeated(figures.repeated)]),
        ...world.fleet.complaints(),
        ...violations.map((each) => `${each.check}: ${each.detail}`),
      ],
    }
  } finally {
    await world.close()
  }
}

const unrepeated = (repeated: number): string[] =>
  repeated > 0 ? [] : ['nothing that was acknowledged could be published again']

/**
 * Load, the fault, load again, and some of what was acknowledged once more. Returns what there was of the evidence before the
 * fault, and what did not come about in time.
 */
async function play(world: World, fault: Fault, messages: number): Promise<{ before: Evidence; trouble: string[] }> {
  const { recorder, traffic, random } = world
  let before: Evidence = {}
  try {
    await traffic.more(warmUp + random.int(0, warmUp))
    before = (await fault.evidence?.(world)) ?? {}
    recorder.note({ type: 'fault', phase: 'inject' })
    await fault.inject(world)
    recorder.note({ type: 'fault', phase: 'lifted' })
    await (fault.healed?.(world) ?? world.fleet.settled(settleMs))
    recorder.note({ type: 'fault', phase: 'healed' })
    await traffic.more(afterwards, 120_000)
    await repeatSome(world, 'x'.repeat(fault.needs?.padding ?? 0))
    await traffic.more(Math.max(0, messages - recorder.acknowledged), 120_000)
    await traffic.connected()
    return { before, trouble: [] }
  } catch (error) {
    return { before, trouble: [`the fleet did not heal: ${error instanceof Error ? error.message : String(error)}`] }
  }
}

/** Ends the publishes and waits until every client stands where its rooms' logs end. */
async function drain(world: World): Promise<{ logs: Logged[]; trouble: string[] }> {
  await world.traffic.stop()
  let logs: Logged[] = []
  try {
    await until(
      'every client saw the end of its rooms',
      async () => {
        logs = await readLogs(world.primary.url, rooms)
        return allAt(world.recorder.lines, logs)
      },
      drainMs,
    )
    await until('the connections that count are those that are open', () => isCounted(world), drainMs)
    await until('everybody is told who is in its rooms', () => world.traffic.absent().length === 0, drainMs)
    return { logs, trouble: [] }
  } catch (error) {
    return { logs, trouble: [String(error), ...world.traffic.absent().slice(0, 3)] }
  }
}

/** A client whose old connection still counts would be locked out by its limit. */
async function isCounted({ traffic, primary, limited }: World): Promise<boolean> {
  const counted = await readConnections(primary.url)
  const open = [...traffic.connections()].map(([user, connection]) => `user:${user} ${connection ?? 'none'}`)
  return counted.toSorted().join() === (limited ? open.toSorted().join() : '')
}

function allAt(lines: readonly Line[], logs: readonly Logged[]): boolean {
  const heads = new Map(logs.map(({ room, seq }) => [room, seq]))
  const places = new Map<string, { room: string; seq: number }>()
  for (const line of lines) {
    if (line.type === 'deliver' || line.type === 'position') places.set(`${line.client} ${line.room}`, line)
  }
  return [...places.values()].every(({ room, seq }) => seq === (heads.get(room) ?? seq))
}
