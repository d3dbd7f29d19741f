import { compareEpochs, parseEpoch } from '@flotilla/core/position'
import type { FaultPhase, Line, Logged, Publish, Seen } from '../history.ts'

/** A history read once, so that every check is one pass. */
export interface Indexed {
  readonly publishes: ReadonlyMap<string, Outcome>
  readonly views: readonly View[]
  readonly logs: ReadonlyMap<string, readonly Logged[]>
  readonly faults: readonly FaultPhase[]
  /** When the last line was noted. */
  readonly endedAt: number
}

/** What became of one publish. */
export interface Outcome {
  readonly id: string
  readonly room: string
  invokedAt: number
  /** Every acknowledgement; more than one when it was published again. */
  readonly oks: Extract<Publish, { type: 'ok' }>[]
  refused: number
  unknown: number
  /** How often it was published again after its acknowledgement. */
  repeats: number
  /** Answers of all kinds, the last of them last. */
  readonly answers: Exclude<Publish['type'], 'invoke' | 'again'>[]
}

/** What one client saw of one room, in order. */
export interface View {
  readonly client: string
  readonly room: string
  readonly steps: readonly Seen[]
}

export interface Violation {
  readonly check: string
  readonly detail: string
}

export function indexHistory(lines: readonly Line[]): Indexed {
  const publishes = new Map<string, Outcome>()
  const views = new Map<string, { client: string; room: string; steps: Seen[] }>()
  const logs = new Map<string, Logged[]>()
  const faults: FaultPhase[] = []
  let endedAt = 0
  for (const line of lines) {
    endedAt = Math.max(endedAt, line.t)
    switch (line.type) {
      case 'invoke':
      case 'again':
      case 'ok':
      case 'refused':
      case 'unknown':
        note(publishes, line)
        break
      case 'deliver':
      case 'position': {
        const key = `${line.client} ${line.room}`
        const view = views.get(key) ?? { client: line.client, room: line.room, steps: [] }
        views.set(key, view)
        view.steps.push(line)
        break
      }
      case 'logged':
        append(logs, line)
        break
      case 'fault':
        faults.push(line)
        break
      case 'connect':
      case 'disconnect':
    }
  }
  return { publishes, views: [...views.values()], logs, faults, endedAt }
}

function note(publishes: Map<string, Outcome>, line: Publish): void {
  const { id, room, t } = line
  const counts = { refused: 0, unknown: 0, repeats: 0 }
  const outcome = publishes.get(id) ?? { id, room, invokedAt: Infinity, oks: [], ...counts, answers: [] }
  publishes.set(id, outcome)
  if (line.type === 'invoke') {
    outcome.invokedAt = Math.min(outcome.invokedAt, t)
    return
  }
  if (line.type === 'again') {
    outcome.repeats += 1
    return
  }
  outcome.answers.push(line.type)
  if (line.type === 'ok') outcome.oks.push(line)
  else outcome[line.type] += 1
}

export interface Place {
  readonly epoch: string
  readonly seq: number
}

/** Negative when `a` comes before `b` in the room: lives in their order, numbers within a life. */
export function comparePlaces(a: Place, b: Place): number {
  return compareLives(a.epoch, b.epoch) || a.seq - b.seq
}

/** Equal texts are equal; an unreadable epoch is before every other. */
function compareLives(a: string, b: string): number {
  if (a === b) return 0
  return compareEpochs(parseEpoch(a) ?? none, parseEpoch(b) ?? none)
}
const none = { inc: -1, tag: -1 }

/**
 * Whether an entry of the log is what was acknowledged at this place. What the log kept over a loss is acknowledged, when
 * it is published again, under the incarnation of then, which is newer than the entry's.
 */
export const isAt = (entry: Place, at: Place): boolean => entry.seq === at.seq && comparePlaces(entry, at) <= 0

/** Continuity is lost only when this number changes. */
export const incOf = (epoch: string): number => parseEpoch(epoch)?.inc ?? -1
/** The life of the room alone: an empty room's epoch also names an hour. */
export const lifeOf = (epoch: string): string => {
  const life = parseEpoch(epoch) ?? none
  return `${life.inc}.${life.tag}`
}
export const shown = ({ epoch, seq }: Place): string => `${epoch}:${seq}`

function append(logs: Map<string, Logged[]>, line: Logged): void {
  const log = logs.get(line.room)
  if (log === undefined) logs.set(line.room, [line])
  else log.push(line)
}
