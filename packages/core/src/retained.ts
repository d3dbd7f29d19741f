import { formatInterest, parseInterest } from './interest.ts'
import type { LogAppend, OutAppend } from './commit.ts'
import type { InterestChange } from './interest.ts'

/**
 * Commits that the store said ok to are kept for a while, for the case that it goes back in time (docs/spec.md LN14). They are
 * hardly ever looked at again, and there are hundreds of thousands of them: as objects they would be most of what the
 * garbage collector copies and marks. So those of a flight are kept as one text.
 */

/** A commit as its worker keeps it: everything needed to write it, or to write it again. */
export interface Retained {
  n: number
  readonly token: string
  /** Changes when the server went back in time: ids behind the stored cursor may be those of entries that are gone. */
  cursor: string
  readonly marks: string
  readonly logs: readonly LogAppend[]
  readonly outs: ReadonlyMap<string, OutAppend>
  readonly interest: readonly InterestChange[]
  readonly bytes: number
  /** By the owner's monotonic clock: rooms that were written before only are not in it. */
  readonly composedAt: number
  /** When the store said ok; undefined while under way. */
  okAt: number | undefined
}

/** A commit and its place: slot, and the token of the commit that it follows. */
export interface Placed {
  readonly slot: number
  readonly after: string
  readonly commit: Retained
}

/** Commits packed together, in the order of their n within a slot. */
export interface RetainedBatch {
  readonly okAt: number
  /** Of the oldest. */
  readonly composedAt: number
  /** What it takes, about: a text with one character beyond Latin-1 takes two bytes for each of its units. */
  readonly bytes: number
  /** All texts of all commits, one after the other, and the length of each: any text comes back as it was. */
  readonly text: string
  readonly lengths: Int32Array
}

const wide = /[\u0100-\uffff]/

export function packCommits(placed: readonly Placed[], okAt: number): RetainedBatch {
  const texts: string[] = []
  let composedAt = Infinity
  for (const { slot, after, commit } of placed) {
    const { n, token, cursor, marks, logs, outs, interest, bytes } = commit
    composedAt = Math.min(composedAt, commit.composedAt)
    texts.push(`${slot} ${n} ${bytes} ${logs.length} ${outs.size} ${interest.length}`, after, token, cursor, marks)
    for (const { room, lastSeq, body, keepFromSeq } of logs) texts.push(`${lastSeq} ${keepFromSeq}`, room, body)
    for (const [boot, out] of outs) texts.push(boot, out.records, out.logs.join(' '))
    for (const { on, ...who } of interest) texts.push(formatInterest(who), on ? '+' : '-')
  }
  const lengths = new Int32Array(texts.length)
  texts.forEach((each, i) => (lengths[i] = each.length))
  const text = texts.join('')
  return { okAt, composedAt, bytes: text.length * (wide.test(text) ? 2 : 1) + lengths.byteLength, text, lengths }
}

export function unpackCommits({ text, lengths, okAt, composedAt }: RetainedBatch): Placed[] {
  const placed: Placed[] = []
  let at = 0
  let i = 0
  const next = (): string => text.slice(at, (at += lengths[i++] ?? 0))
  const numbers = (): number[] => {
    const packed = next()
    return packed === '' ? [] : packed.split(' ').map(Number)
  }
  while (i < lengths.length) {
    const [slot = 0, n = 0, bytes = 0, logCount = 0, outCount = 0, interestCount = 0] = numbers()
    const [after, token, cursor, marks] = [next(), next(), next(), next()]
    const logs: LogAppend[] = []
    while (logs.length < logCount) {
      const [lastSeq = 0, keepFromSeq = 0] = numbers()
      logs.push({ lastSeq, keepFromSeq, room: next(), body: next() })
    }
    const outs = new Map<string, OutAppend>()
    while (outs.size < outCount) outs.set(next(), { records: next(), logs: numbers() })
    const interest: InterestChange[] = []
    while (interest.length < interestCount) interest.push({ ...parseInterest(next()), on: next() === '+' })
    const commit = { n, token, cursor, marks, logs, outs, interest, bytes, composedAt, okAt }
    placed.push({ slot, after, commit })
  }
  return placed
}
