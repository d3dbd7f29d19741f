import { decodeOut } from '@flotilla/core/entry'
import type { OutRecord } from '@flotilla/core/entry'
import { createBackoff, wait } from './backoff.ts'
import type { Log } from './log.ts'
import { createReadPace } from './read-pace.ts'
import type { Scope } from './scope.ts'
import type { Store, StreamEntry } from './store/port.ts'

/** How long one read waits for entries, ms, how many it takes, and how much it is to bring, about, in UTF-16 units. */
const readBlockMs = 1_000
const maxReadCount = 512
const leastReadCount = 4
const readChars = 4_194_304
/** Reads of a busy outbox, in which several commits share one. */
const readPace = { leastMs: 2, mostMs: 12, charsPerMs: 2_048 }
/** What was processed is trimmed after so many entries, or this long after the last trim, ms. */
const trimEntries = 1_000
const trimEveryMs = 1_000

export interface OutboxDeps {
  readonly store: Store
  readonly log: Log
  readonly scope: Scope
  /** Records of consecutive entries, in order, and the server's run under which they were read (store/port.ts). */
  onRecords(lane: number, records: readonly OutRecord[], run: string): void
  /** Entries were lost; those after the hole follow. */
  onHole(lane: number): void
  /** The outbox does not exist any more: reading has ended. */
  onGone(lane: number): void
}

export interface OutboxReader {
  /** Reads on from the oldest entry there is: what was read may belong to a past that the server no longer knows. */
  restart(): void
  stop(): void
}

/** Reads one boot's outbox of one lane until it is stopped or gone. */
export function readOutbox(lane: number, boot: string, deps: OutboxDeps): OutboxReader {
  const { store, scope, log } = deps
  const backoff = createBackoff({ baseMs: 50, maxMs: 1_000, random: Math.random })
  const pace = createReadPace(readPace)
  const position = { after: '0-0', restarts: 0, count: leastReadCount }
  // One for all reads until one has to be broken off.
  let own = new AbortController()
  let follows = false
  const trim = createTrim(lane, boot, deps)

  async function turn(signal: AbortSignal): Promise<void> {
    const { after, restarts, count } = position
    pace.begin()
    if (!follows) signal.addEventListener('abort', () => own.abort(), { once: true })
    follows = true
    if (own.signal.aborted) own = new AbortController()
    const call = own
    try {
      const options = { blockMs: readBlockMs, count, signal: call.signal }
      const { exists, entries, run } = await store.outboxes.read(lane, boot, after, options)
      if (signal.aborted || position.restarts !== restarts) return
      backoff.reset()
      const chars = charsOf(entries)
      position.count = nextCount(entries.length, chars)
      if (exists) {
        take(entries, run)
        return await pace.rest(chars)
      }
      void stop()
      deps.onGone(lane)
    } catch (error) {
      position.count = leastReadCount
      if (call.signal.aborted) return
      log.warn('outbox could not be read', { lane, err: error })
      await wait(backoff.next(), call.signal).catch(() => undefined)
    }
  }

  function take(entries: readonly StreamEntry[], run: string): void {
    let records: OutRecord[] = []
    for (const entry of entries) {
      if (position.after !== '0-0' && entry.id !== idAfter(position.after)) {
        deliver(records, run)
        records = []
        log.warn('hole in the outbox', { lane, after: position.after, next: entry.id })
        deps.onHole(lane)
      }
      position.after = entry.id
      for (const record of decodeOut(entry.body)) records.push(record)
    }
    deliver(records, run)
    trim(position.after, entries.length)
  }

  function deliver(records: readonly OutRecord[], run: string): void {
    if (records.length === 0) return
    try {
      deps.onRecords(lane, records, run)
    } catch (error) {
      // A fault of ours must not become a silent loss: the lane is made good as after a hole.
      log.error('records could not be processed', { lane, err: error })
      deps.onHole(lane)
    }
  }

  const stop = scope.loop(`outbox ${lane}`, turn)
  return {
    restart: () => {
      position.after = '0-0'
      position.restarts += 1
      own.abort()
    },
    stop: () => void stop(),
  }
}

const charsOf = (entries: readonly StreamEntry[]): number => entries.reduce((sum, { body }) => sum + body.length, 0)

/** Twice as many as there were while they are small, fewer when they were too much at once. */
function nextCount(entries: number, chars: number): number {
  const fits = chars <= readChars / 2 ? entries * 2 : Math.floor((entries * readChars) / chars)
  return Math.min(maxReadCount, Math.max(leastReadCount, fits))
}

/** Ids of one outbox are `1-0, 1-1, …` (store/port.ts). */
function idAfter(id: string): string {
  const dash = id.indexOf('-')
  return `${id.slice(0, dash)}-${Number(id.slice(dash + 1)) + 1}`
}

/** A trim that fails is made up for by the next one. */
function createTrim(lane: number, boot: string, deps: OutboxDeps): (through: string, entries: number) => void {
  let untrimmed = 0
  let busy = false
  let lastMs = performance.now()
  return (through, entries) => {
    untrimmed += entries
    const due = untrimmed >= trimEntries || performance.now() - lastMs >= trimEveryMs
    if (untrimmed === 0 || busy || !due) return
    untrimmed = 0
    busy = true
    lastMs = performance.now()
    deps.store.outboxes
      .trim(lane, boot, through)
      .catch((error: unknown) => deps.log.debug('outbox not trimmed', { lane, err: error }))
      .finally(() => {
        busy = false
      })
  }
}
