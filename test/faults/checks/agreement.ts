import { comparePlaces, lifeOf, shown } from './index-history.ts'
import type { Indexed, Place, Violation } from './index-history.ts'

/** One place names one message, for every client and for the log. */
export function agreement({ views, logs }: Indexed): Violation[] {
  const names = new Names('agreement')
  for (const [room, log] of logs) for (const entry of log) names.say(room, entry, entry.id, 'the log')
  for (const { client, room, steps } of views)
    for (const step of steps) if (step.type === 'deliver') names.say(room, step, step.id, client)
  return names.violations
}

/**
 * Nobody else wrote: what publishers were told names one message per place and is what the log has there, numbers of a
 * log are contiguous, and its lives never step back.
 */
export function singleWriter({ publishes, logs }: Indexed): Violation[] {
  const names = new Names('single writer')
  for (const [room, log] of logs) for (const entry of log) names.say(room, entry, entry.id, 'the log')
  for (const { id, room, oks } of publishes.values()) for (const ok of oks) names.say(room, ok, id, 'its publisher')
  const found = [...names.violations]
  for (const [room, log] of logs) {
    log.forEach((entry, i) => {
      const before = log[i - 1]
      if (before === undefined || (entry.seq === before.seq + 1 && comparePlaces(before, entry) < 0)) return
      found.push({ check: 'single writer', detail: `${room}: the log has ${shown(entry)} after ${shown(before)}` })
    })
  }
  return found
}

class Names {
  readonly violations: Violation[] = []
  readonly #at = new Map<string, { id: string; who: string }>()
  readonly #check: string

  constructor(check: string) {
    this.#check = check
  }

  say(room: string, place: Place, id: string, who: string): void {
    const key = `${room} ${lifeOf(place.epoch)}:${place.seq}`
    const before = this.#at.get(key)
    if (before === undefined) this.#at.set(key, { id, who })
    else if (before.id !== id)
      this.violations.push({
        check: this.#check,
        detail: `${key} is ${before.id} for ${before.who} and ${id} for ${who}`,
      })
  }
}
