import { setMaxListeners } from 'node:events'
import { createBackoff, wait } from '@flotilla/node/backoff'
import type { Log } from '@flotilla/node/log'
import type { Intake } from './intake.ts'
import type { SourceMetrics } from './metrics.ts'
import type { Source } from './schema.ts'

/** What one connection to a source works with. */
export interface Session {
  readonly intake: Intake
  readonly log: Log
  /** Aborts when no message more is to be taken. */
  readonly stop: AbortSignal
  /** Aborts when what was taken is to be given up. */
  readonly abandon: AbortSignal
  readonly memberId: string
  /** Messages that wait at the source. */
  pending(count: number): void
  /** The source answers. */
  connected(): void
  /** Resolves when nothing that was taken is unsettled, having given it up after the time of a drain. */
  settled(): Promise<void>
}

/** Connects, takes messages until `stop` aborts, and disconnects. Rejects when the source is away or not as it must be. */
export type RunSession = (session: Session) => Promise<void>

export interface SourceRun {
  /** Takes no message more, waits for those under way as long as a drain may take, and disconnects. */
  close(): Promise<void>
}

export interface SourceRunOptions {
  readonly source: Source
  readonly run: RunSession
  readonly intake: Intake
  readonly log: Log
  readonly metrics: SourceMetrics
  readonly memberId: string
  isMine(): boolean
}

/** How often a process that stands by looks whether it is its turn, ms. */
const standbyMs = 200
/** Delays between attempts to reach a source, ms. */
const reconnectBaseMs = 250
const reconnectMaxMs = 5_000
const reconnectLeastMs = 100
/** How long what was taken may take to be committed once no more is taken, ms. */
const drainMs = 5_000

/** One session after the other, for ever: an outage is said once, when it begins, and once when it is over. */
export function runSource(options: SourceRunOptions): SourceRun {
  const closing = new AbortController()
  const ended = runSessions(options, closing.signal)
  return {
    close: () => {
      closing.abort()
      return ended
    },
  }
}

async function runSessions(options: SourceRunOptions, closing: AbortSignal): Promise<void> {
  const { log, metrics, source } = options
  const backoff = createBackoff({ baseMs: reconnectBaseMs, maxMs: reconnectMaxMs, random: Math.random })
  let awaySinceMs: number | undefined
  const connected = (): void => {
    if (awaySinceMs !== undefined)
      log.info('the source is back', { awayMs: Math.round(performance.now() - awaySinceMs) })
    else log.info('the source answers')
    awaySinceMs = undefined
    backoff.reset()
  }
  while (!closing.aborted) {
    if (!options.isMine()) {
      await wait(standbyMs, closing).catch(() => undefined)
      continue
    }
    try {
      await runSession(options, { closing, connected })
    } catch (error) {
      if (closing.aborted) return
      if (awaySinceMs === undefined) log.warn('the source is away', { reason: textOf(error) })
      awaySinceMs ??= performance.now()
      await wait(reconnectLeastMs + backoff.next(), closing).catch(() => undefined)
    } finally {
      metrics.active.set({ source: source.name }, 0)
    }
  }
}

interface SessionEvents {
  readonly closing: AbortSignal
  readonly connected: () => void
}

async function runSession(options: SourceRunOptions, { closing, connected }: SessionEvents): Promise<void> {
  const { source, intake, log, metrics, memberId, isMine, run } = options
  const [stop, abandon] = [new AbortController(), new AbortController()]
  // Every message that waits to be tried again listens to it; source.maxInFlight bounds how many.
  setMaxListeners(0, abandon.signal)
  const turn = setInterval(() => {
    if (!isMine()) stop.abort()
  }, standbyMs)
  try {
    await run({
      intake,
      log,
      memberId,
      stop: AbortSignal.any([stop.signal, closing]),
      abandon: abandon.signal,
      pending: (count) => metrics.pending.set({ source: source.name }, count),
      connected: () => {
        metrics.active.set({ source: source.name }, 1)
        connected()
      },
      settled: () => settle(intake, abandon),
    })
  } finally {
    clearInterval(turn)
    // What a connection that broke has left must be out of the way before its messages are given out again.
    abandon.abort()
    await intake.fewerThan(1)
  }
}

async function settle(intake: Intake, abandon: AbortController): Promise<void> {
  const late = setTimeout(() => abandon.abort(), drainMs)
  await intake.fewerThan(1)
  clearTimeout(late)
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
