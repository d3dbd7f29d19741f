import { parseEpoch } from '../src/position.ts'

/**
 * What happened in a run, and what must be true of it (architecture section 2). Pure: histories with one planted fault
 * each prove that every check can fail (checks.test.ts).
 */
export interface History {
  /** Publishes that were acknowledged, with the position they were told. */
  readonly acknowledged: readonly Acknowledged[]
  /** Publishes that were answered OVERLOADED for good: nothing was appended. */
  readonly refused: readonly { readonly room: string; readonly message: string }[]
  readonly views: readonly View[]
  /** Writes that the store applied, in order; `regress` stands where a fault took the store back in time. */
  readonly applied: readonly ({ readonly slot: number; readonly epoch: number; readonly n: number } | 'regress')[]
  /** Room logs at the end. */
  readonly logs: ReadonlyMap<string, RoomLog>
}
export interface Acknowledged {
  readonly room: string
  readonly message: string
  readonly epoch: string
  readonly seq: number
  /** Whether, at that moment, a commit had put it there; absent where nobody could look. */
  readonly committed?: boolean
}
/** A room's log at the end: `epoch` with the slot's inc at the end. */
export interface RoomLog {
  readonly epoch: string
  readonly messages: readonly { readonly seq: number; readonly message: string }[]
  /** What is below its first message was trimmed. */
  readonly trimmed?: boolean
}
/** What one client saw of one room, in order. */
interface View {
  readonly client: string
  readonly room: string
  readonly steps: readonly ViewStep[]
}
export type ViewStep =
  | { readonly type: 'event'; readonly epoch: string; readonly seq: number; readonly message: string }
  /** An answer or a position frame: from here on the client counts from this position. */
  | { readonly type: 'position'; readonly epoch: string; readonly seq: number; readonly recovered: boolean }

export interface Violation {
  readonly check: 'early' | 'lost' | 'phantom' | 'agreement' | 'contiguity' | 'duplicate' | 'single writer'
  readonly detail: string
}

export function check(history: History): Violation[] {
  return [
    ...early(history),
    ...lost(history),
    ...phantoms(history),
    ...agreement(history),
    ...contiguity(history),
    ...duplicates(history),
    ...writers(history),
  ]
}

const inc = (epoch: string): number => parseEpoch(epoch)?.inc ?? -1

/** P1: a publish is acknowledged only after its commit. */
function early({ acknowledged }: History): Violation[] {
  return acknowledged
    .filter(({ committed }) => committed === false)
    .map(({ room, message, epoch, seq }) => ({
      check: 'early',
      detail: `${room}: ${message} was acknowledged at ${epoch}:${seq} before a commit had put it there`,
    }))
}

/** P1: an acknowledged message is in the log, unless its continuity was lost, which the new inc tells. */
function lost({ acknowledged, logs }: History): Violation[] {
  const found: Violation[] = []
  for (const { room, message, epoch, seq } of acknowledged) {
    const log = logs.get(room)
    if (log !== undefined && inc(log.epoch) > inc(epoch)) continue
    if (log?.trimmed === true && seq < (log.messages[0]?.seq ?? 0)) continue
    const at = log?.messages.find((each) => each.seq === seq)
    if (at?.message !== message)
      found.push({
        check: 'lost',
        detail: `${room} ${epoch}:${seq} acknowledged ${message}, the log has ${at?.message ?? 'nothing'}`,
      })
  }
  return found
}

/** What was refused for good is nowhere. */
function phantoms({ refused, logs, views }: History): Violation[] {
  const found: Violation[] = []
  for (const { room, message } of refused) {
    if (logs.get(room)?.messages.some((each) => each.message === message))
      found.push({ check: 'phantom', detail: `${room}: ${message} was refused and is in the log` })
    for (const view of views) {
      if (view.room === room && view.steps.some((step) => step.type === 'event' && step.message === message)) {
        found.push({ check: 'phantom', detail: `${room}: ${message} was refused and ${view.client} saw it` })
      }
    }
  }
  return found
}

/** P2: one position names one message, for every client, every acknowledgement, and the log. */
function agreement({ acknowledged, views, logs }: History): Violation[] {
  const found: Violation[] = []
  const at = new Map<string, { message: string; who: string }>()
  const claim = ({ room, epoch, seq, message }: Omit<Acknowledged, 'committed'>, who: string): void => {
    const life = parseEpoch(epoch)
    const key = `${room} ${life?.inc}.${life?.tag}:${seq}`
    const before = at.get(key)
    if (before === undefined) at.set(key, { message, who })
    else if (before.message !== message)
      found.push({
        check: 'agreement',
        detail: `${key} is ${before.message} for ${before.who} and ${message} for ${who}`,
      })
  }
  for (const [room, log] of logs)
    for (const { seq, message } of log.messages) claim({ room, epoch: log.epoch, seq, message }, 'the log')
  for (const each of acknowledged) claim(each, 'its publisher')
  for (const view of views) {
    for (const step of view.steps) if (step.type === 'event') claim({ ...step, room: view.room }, view.client)
  }
  return found
}

/** P2: each event is the one after the client's position; a position moves only with lost continuity, or to where the client is. */
function contiguity({ views }: History): Violation[] {
  const found: Violation[] = []
  for (const { client, room, steps } of views) {
    let at: { epoch: string; seq: number } | undefined
    for (const step of steps) {
      if (step.type === 'event') {
        if (at === undefined || step.seq !== at.seq + 1)
          found.push({
            check: 'contiguity',
            detail: `${client} ${room}: event ${step.epoch}:${step.seq} after ${at?.epoch}:${at?.seq}`,
          })
        at = { epoch: step.epoch, seq: step.seq }
      } else {
        if (at !== undefined && step.recovered && !movesAlong(at, step))
          found.push({
            check: 'contiguity',
            detail: `${client} ${room}: moved from ${at.epoch}:${at.seq} to ${step.epoch}:${step.seq} as recovered`,
          })
        at = { epoch: step.epoch, seq: step.seq }
      }
    }
  }
  return found
}

function movesAlong(at: { epoch: string; seq: number }, to: { epoch: string; seq: number }): boolean {
  const [before, after] = [parseEpoch(at.epoch), parseEpoch(to.epoch)]
  if (before === undefined || after === undefined || before.inc !== after.inc) return false
  return to.seq === at.seq && (before.tag === after.tag || (before.tag === 0 && at.seq === 0))
}

/** P3: a message is in a log once, and a client sees it once as long as continuity was not lost. */
function duplicates({ views, logs }: History): Violation[] {
  const found: Violation[] = []
  for (const [room, log] of logs) {
    const seen = new Map<string, number>()
    for (const { seq, message } of log.messages) {
      const before = seen.get(message)
      if (before !== undefined)
        found.push({ check: 'duplicate', detail: `${room}: ${message} is in the log at ${before} and ${seq}` })
      seen.set(message, seq)
    }
  }
  for (const { client, room, steps } of views) {
    const seen = new Set<string>()
    for (const step of steps) {
      if (step.type !== 'event') continue
      const key = `${inc(step.epoch)} ${step.message}`
      if (seen.has(key))
        found.push({ check: 'duplicate', detail: `${client} ${room} saw ${step.message} twice in ${step.epoch}` })
      seen.add(key)
    }
  }
  return found
}

/** P4: the writes of a slot never step back in epoch, nor in n within one. */
function writers({ applied }: History): Violation[] {
  const found: Violation[] = []
  const last = new Map<number, { epoch: number; n: number }>()
  for (const write of applied) {
    if (write === 'regress') {
      last.clear()
      continue
    }
    const before = last.get(write.slot)
    const back =
      before !== undefined && (write.epoch < before.epoch || (write.epoch === before.epoch && write.n !== before.n + 1))
    if (back)
      found.push({
        check: 'single writer',
        detail: `slot ${write.slot}: ${write.epoch}/${write.n} written after ${before.epoch}/${before.n}`,
      })
    last.set(write.slot, { epoch: write.epoch, n: write.n })
  }
  return found
}
