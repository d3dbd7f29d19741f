import { incOf, lifeOf, shown } from './index-history.ts'
import type { Indexed, Place, Violation } from './index-history.ts'

/** Each event is the one after the client's place; a place moves only with a loss that is told, or to where it is. */
export function contiguity({ views }: Indexed): Violation[] {
  const found: Violation[] = []
  for (const { client, room, steps } of views) {
    let at: Place | undefined
    for (const step of steps) {
      const wrong =
        step.type === 'deliver'
          ? at === undefined || step.seq !== at.seq + 1 || incOf(step.epoch) !== incOf(at.epoch)
          : at !== undefined && step.recovered && !isSame(at, step)
      if (wrong) {
        const what = step.type === 'deliver' ? 'saw' : 'was moved to'
        const from = at === undefined ? 'nothing' : shown(at)
        found.push({ check: 'contiguity', detail: `${client} ${room} ${what} ${shown(step)} after ${from}` })
      }
      at = step
    }
  }
  return found
}

function isSame(at: Place, to: Place): boolean {
  const empty = at.seq === 0 && incOf(at.epoch) === incOf(to.epoch)
  return to.seq === at.seq && (lifeOf(at.epoch) === lifeOf(to.epoch) || empty)
}

/** A message is in a log once, and a client sees it once unless it was told of a loss in between. */
export function duplicate({ views, logs }: Indexed): Violation[] {
  const found: Violation[] = []
  for (const [room, log] of logs) {
    const at = new Map<string, Place>()
    for (const entry of log) {
      const before = at.get(entry.id)
      if (before !== undefined)
        found.push({
          check: 'duplicate',
          detail: `${room}: ${entry.id} is in the log at ${shown(before)} and ${shown(entry)}`,
        })
      at.set(entry.id, entry)
    }
  }
  for (const { client, room, steps } of views) {
    let seen = new Set<string>()
    for (const step of steps) {
      if (step.type === 'position') {
        if (!step.recovered) seen = new Set()
      } else if (seen.has(step.id))
        found.push({ check: 'duplicate', detail: `${client} ${room} saw ${step.id} again at ${shown(step)}` })
      else seen.add(step.id)
    }
  }
  return found
}

/** Every view ends where the log ends: nothing is stuck. */
export function complete({ views, logs }: Indexed): Violation[] {
  return views.flatMap(({ client, room, steps }) => {
    const [head, at] = [logs.get(room)?.at(-1), steps.at(-1)]
    if (head === undefined || (at !== undefined && at.seq === head.seq && incOf(at.epoch) >= incOf(head.epoch)))
      return []
    return [
      {
        check: 'complete',
        detail: `${client} ${room} ended at ${at === undefined ? 'nothing' : shown(at)}, the log at ${shown(head)}`,
      },
    ]
  })
}
