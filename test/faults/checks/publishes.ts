import { incOf, shown } from './index-history.ts'
import type { Indexed, Outcome, Violation } from './index-history.ts'

/** Where messages turned up: in a log, or at a client. */
function* appearances({ views, logs }: Indexed): Generator<{ room: string; id: string; where: string }> {
  for (const [room, log] of logs) for (const { id } of log) yield { room, id, where: 'the log' }
  for (const { client, room, steps } of views)
    for (const step of steps) if (step.type === 'deliver') yield { room, id: step.id, where: client }
}

/** What nobody published is nowhere, and nothing is in another room than its own. */
export function phantom(history: Indexed): Violation[] {
  const found: Violation[] = []
  for (const { room, id, where } of appearances(history)) {
    const publish = history.publishes.get(id)
    if (publish === undefined || publish.invokedAt === Infinity)
      found.push({ check: 'phantom', detail: `${room}: ${where} has ${id}, which nobody published` })
    else if (publish.room !== room)
      found.push({ check: 'phantom', detail: `${room}: ${where} has ${id}, which was published to ${publish.room}` })
  }
  return found
}

const wasRefused = ({ refused, unknown, oks }: Outcome): boolean => refused > 0 && unknown === 0 && oks.length === 0

/** What was refused, each time, is nowhere. */
export function abortedRead(history: Indexed): Violation[] {
  const found: Violation[] = []
  for (const { room, id, where } of appearances(history)) {
    const publish = history.publishes.get(id)
    if (publish !== undefined && wasRefused(publish))
      found.push({ check: 'aborted read', detail: `${room}: ${id} was refused, and ${where} has it` })
  }
  return found
}

/**
 * Every publish has an outcome, and outcomes do not contradict each other: one key is told one place in one incarnation,
 * and what was once acknowledged is not refused later.
 */
export function honest({ publishes }: Indexed): Violation[] {
  const found: Violation[] = []
  const say = (id: string, what: string): void => void found.push({ check: 'honest', detail: `${id} ${what}` })
  for (const { id, oks, answers, invokedAt } of publishes.values()) {
    if (answers.length === 0) say(id, 'was never answered')
    if (invokedAt === Infinity) say(id, 'was answered and never published')
    const first = answers.indexOf('ok')
    if (first >= 0 && answers.indexOf('refused', first) > 0) say(id, 'was refused after it was acknowledged')
    const told = new Map<number, string>()
    for (const ok of oks) {
      const before = told.get(incOf(ok.epoch))
      if (before !== undefined && before !== shown(ok)) say(id, `was acknowledged at ${before} and at ${shown(ok)}`)
      told.set(incOf(ok.epoch), shown(ok))
    }
  }
  return found
}

/**
 * A publish that began after another was acknowledged comes after it in the room. With `views` in order and agreeing
 * this makes one order for everybody that nobody's clock contradicts.
 */
export function order({ publishes, logs }: Indexed): Violation[] {
  const found: Violation[] = []
  for (const [room, log] of logs) {
    let latest: Outcome | undefined
    for (const { id } of log) {
      const publish = publishes.get(id)
      if (publish === undefined) continue
      const ok = publish.oks[0]
      if (ok !== undefined && latest !== undefined && ok.t < latest.invokedAt)
        found.push({
          check: 'order',
          detail: `${room}: ${id} was acknowledged before ${latest.id} began, and is behind it`,
        })
      if (latest === undefined || publish.invokedAt > latest.invokedAt) latest = publish
    }
  }
  return found
}
