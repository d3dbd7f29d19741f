import type { Logged } from '../history.ts'
import { comparePlaces, incOf, shown } from './index-history.ts'
import type { Indexed, Place, View, Violation } from './index-history.ts'

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

export interface Losses {
  readonly violations: readonly Violation[]
  /** Acknowledged messages that are gone from the log, of which every subscriber was told. */
  readonly told: number
}

/**
 * An acknowledged message is in the room's log at its place, and every subscriber saw it, unless the subscriber was
 * told of a loss over just that place.
 */
export function lost({ publishes, views, logs }: Indexed): Losses {
  const violations: Violation[] = []
  const readers = new Map<string, Reader[]>()
  for (const view of views) readers.set(view.room, [...(readers.get(view.room) ?? []), read(view)])
  const places = new Map([...logs].map(([room, log]) => [room, new Map(log.map((entry) => [entry.id, entry]))]))
  let told = 0
  for (const { id, room, oks } of publishes.values()) {
    const ofRoom = readers.get(room) ?? []
    for (const ok of oks) {
      for (const { view, seen, jumps } of ofRoom) {
        if (seen.has(id) || jumps.some((jump) => covers(jump, ok))) continue
        violations.push({
          check: 'lost',
          detail: `${view.client} ${room} never saw ${id} of ${shown(ok)}, and was not told`,
        })
      }
      if (isLogged(places.get(room)?.get(id), logs.get(room)?.[0], ok)) continue
      if (ofRoom.some(({ jumps }) => jumps.some(({ to }) => incOf(to.epoch) > incOf(ok.epoch)))) told += 1
      else
        violations.push({ check: 'lost', detail: `${room} ${shown(ok)} was acknowledged, the log does not have ${id}` })
    }
  }
  return { violations, told }
}

const covers = ({ from, to }: Told, at: Place): boolean => comparePlaces(from, at) < 0 && comparePlaces(at, to) <= 0

/**
 * At its place, or older than what the log keeps. What the log kept over a loss is acknowledged, when it is published
 * again, under the incarnation of then, which is newer than the entry's.
 */
function isLogged(entry: Logged | undefined, oldest: Logged | undefined, at: Place): boolean {
  if (entry !== undefined) return entry.seq === at.seq && comparePlaces(entry, at) <= 0
  return oldest !== undefined && oldest.seq > 1 && comparePlaces(at, oldest) < 0
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
