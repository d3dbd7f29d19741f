import { incOf, isAt, shown } from './index-history.ts'
import type { Indexed, Outcome, Place, Violation } from './index-history.ts'

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
 * Every publish has an outcome, and outcomes do not contradict each other: one key is told one place, however often it is
 * published, and what was once acknowledged is not refused later.
 */
export function honest({ publishes, logs }: Indexed, mayLose: boolean): Violation[] {
  const entries = new Map([...logs.values()].flatMap((log) => log.map((entry) => [entry.id, entry] as const)))
  const found: Violation[] = []
  const say = (id: string, what: string): void => void found.push({ check: 'honest', detail: `${id} ${what}` })
  for (const { id, oks, answers, invokedAt } of publishes.values()) {
    if (answers.length === 0) say(id, 'was never answered')
    if (invokedAt === Infinity) say(id, 'was answered and never published')
    const first = answers.indexOf('ok')
    if (first >= 0 && answers.indexOf('refused', first) > 0) say(id, 'was refused after it was acknowledged')
    for (const [i, ok] of oks.entries()) {
      // Where nothing may be lost, what was acknowledged at a place is there.
      const before = oks.slice(0, i).find((each) => !isOnePlace(each, ok, mayLose ? entries.get(id) : each))
      if (before !== undefined) say(id, `was acknowledged at ${shown(before)} and at ${shown(ok)}`)
    }
  }
  return found
}

/**
 * Whether two answers for one key agree. Over a loss of continuity a message keeps its number, or else it is gone from
 * where it was: `kept` is what the log has of it.
 */
function isOnePlace(before: Place, now: Place, kept: Place | undefined): boolean {
  if (incOf(before.epoch) === incOf(now.epoch)) return shown(before) === shown(now)
  return before.seq === now.seq || kept === undefined || !isAt(kept, before)
}

/**
 * A publish that began after another was acknowledged comes after it in the room. With `views` in order and agreeing
 * this makes one order for everybody that nobody's clock contradicts.
 */
export function order({ publishes, logs }: Indexed): Violation[] {
  const found: Violation[] = []
  for (const [room, log] of logs) {
    let latest: Outcome | undefined
    for (const entry of log) {
      const { id } = entry
      const publish = publishes.get(id)
      if (publish === undefined) continue
      // Of its place here: what was lost and published again has another acknowledgement.
      const ok = publish.oks.find((each) => isAt(entry, each))
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
