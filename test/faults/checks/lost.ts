import { historyEvents, historyMs } from '@flotilla/core/limits'
import type { Logged } from '../history.ts'
import { comparePlaces, incOf, isAt, shown } from './index-history.ts'
import type { Indexed, Outcome, Place, View, Violation } from './index-history.ts'

/** A jump that a client was told: everything after `from` up to `to` may be lost. */
interface Told {
  readonly from: Place
  readonly to: Place
}
interface Reader {
  readonly view: View
  readonly seen: ReadonlySet<string>
  readonly jumps: readonly Told[]
}

export interface Allowed {
  /** The store's settings allow it to lose what it acknowledged, from the moment on that the history names. */
  readonly mayLose: boolean
  /** The fault itself trims logs. */
  readonly logsTrimmed: boolean
}

export interface Losses {
  readonly violations: readonly Violation[]
  /** Acknowledged messages that are gone from the log, of which every subscriber was told. */
  readonly told: number
}

/** What is acknowledged at one moment may reach a replica, or the file of one, so much later, ms. */
const behindMarginMs = 1_000

/**
 * An acknowledged message is in the room's log at its place, as long as the log keeps it, and every subscriber saw it, unless
 * the subscriber was told of a loss over just that place. That it was told excuses no more than the store may lose.
 */
export function lost(history: Indexed, allowed: Allowed): Losses {
  const readers = new Map<string, Reader[]>()
  for (const view of history.views) readers.set(view.room, [...(readers.get(view.room) ?? []), read(view)])
  const { details, told } = gone(history, readers, allowed)
  const violations = [...unseen(history, readers), ...details].map((detail) => ({ check: 'lost', detail }))
  return { violations, told }
}

type Readers = ReadonlyMap<string, readonly Reader[]>

function unseen({ publishes }: Indexed, readers: Readers): string[] {
  const details: string[] = []
  for (const { id, room, oks } of publishes.values()) {
    for (const { view, seen, jumps } of readers.get(room) ?? []) {
      if (seen.has(id)) continue
      for (const ok of oks)
        if (!jumps.some((jump) => covers(jump, ok)))
          details.push(`${view.client} ${room} never saw ${id} of ${shown(ok)}, and was not told`)
    }
  }
  return details
}

/** Acknowledged, and not in the log. */
function gone(history: Indexed, readers: Readers, allowed: Allowed): { details: string[]; told: number } {
  const details: string[] = []
  const isLosable = losable(history)
  const isKept = keeping(history, allowed.logsTrimmed)
  let told = 0
  for (const publish of history.publishes.values()) {
    const { id, room, oks } = publish
    for (const ok of oks.filter((each) => !isKept(publish, each))) {
      const jumps = (readers.get(room) ?? []).flatMap((each) => each.jumps)
      if (!jumps.some(({ to }) => incOf(to.epoch) > incOf(ok.epoch)))
        details.push(`${room} ${shown(ok)} was acknowledged, the log does not have ${id}`)
      else if (allowed.mayLose && !isLosable(publish, ok))
        details.push(
          `${room} ${shown(ok)} was told as lost, but ${id} was not acknowledged when the store could lose it`,
        )
      else told += 1
    }
  }
  return { details, told }
}

/** Whether the log has it where it was acknowledged, or need not have it any more. */
function keeping({ logs, endedAt }: Indexed, logsTrimmed: boolean): (publish: Outcome, ok: Place) => boolean {
  const entries = new Map([...logs].map(([room, log]) => [room, new Map(log.map((entry) => [entry.id, entry]))]))
  return ({ id, room, invokedAt }, ok) => {
    const entry = entries.get(room)?.get(id)
    if (entry !== undefined) return isAt(entry, ok)
    return isOlder(logs.get(room) ?? [], ok, logsTrimmed ? Infinity : endedAt - invokedAt)
  }
}

const covers = ({ from, to }: Told, at: Place): boolean => comparePlaces(from, at) < 0 && comparePlaces(at, to) <= 0

/**
 * Whether it is older than what the log keeps, which is the newest messages and the youngest (RM6). `ageMs`: its age at the
 * end, at the most; Infinity where the fault itself trimmed the log, which then begins anywhere.
 */
function isOlder(log: readonly Logged[], at: Place, ageMs: number): boolean {
  const [oldest, head] = [log[0], log.at(-1)]
  if (oldest === undefined || head === undefined || oldest.seq === 1 || comparePlaces(at, oldest) >= 0) return false
  return ageMs === Infinity || (ageMs >= historyMs && head.seq - at.seq >= historyEvents)
}

/**
 * What the store may have lost: acknowledged after it stopped to keep things, or at any time if it was emptied, and begun
 * before the fleet was whole again. Nothing, if the history does not say when that was.
 */
function losable({ faults }: Indexed): (publish: Outcome, ok: { readonly t: number }) => boolean {
  const behind = faults.find(({ phase }) => phase === 'behind')?.t ?? Infinity
  const from = faults.some(({ phase }) => phase === 'emptied') ? -Infinity : behind - behindMarginMs
  const until = faults.find(({ phase }) => phase === 'healed')?.t ?? Infinity
  return ({ invokedAt }, ok) => ok.t >= from && invokedAt <= until
}

function read(view: View): Reader {
  const seen = new Set<string>()
  const jumps: Told[] = []
  let at: Place = { epoch: '', seq: 0 }
  for (const step of view.steps) {
    if (step.type === 'deliver') seen.add(step.id)
    else if (!step.recovered) jumps.push({ from: at, to: step })
    at = step
  }
  return { view, seen, jumps }
}
