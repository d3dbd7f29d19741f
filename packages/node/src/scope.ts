import type { EventEmitter } from 'node:events'
import { createBackoff, wait } from './backoff.ts'
import type { Backoff } from './backoff.ts'
import type { Log } from './log.ts'

export type Disposer = () => void | Promise<void>

/**
 * The lifetime of a process: whatever it starts, timer, loop or connection, ends when the scope is closed. Once it is
 * closed nothing starts any more, and a disposer that is deferred late runs at once.
 */
export interface Scope {
  /** Aborts when the scope begins to close. */
  readonly signal: AbortSignal
  /**
   * Calls `fn` every `ms`, never twice at a time. An error is logged and the next turn comes. Returns what stops it.
   */
  every(ms: number, fn: () => void | Promise<void>): () => void
  /** Calls `fn` once after `ms`. Returns what cancels it. */
  after(ms: number, fn: () => void | Promise<void>): () => void
  /**
   * Calls `turn` again and again, each when the one before has ended, until the scope is closed or the returned stop
   * is called; stop resolves when the turn under way has ended (do not await it inside the turn). A turn that fails is
   * logged and repeated after a back-off, which a turn that succeeds resets.
   */
  loop(name: string, turn: (signal: AbortSignal) => Promise<void>): () => Promise<void>
  /** Has `disposer` run when the scope closes: last deferred, first run. */
  defer(disposer: Disposer): void
  /**
   * Cancels timers and loops, waits for what is under way, runs the disposers. Never rejects; after the deadline it
   * resolves all the same, and what was late is logged. Calling it again returns the same promise.
   */
  close(): Promise<void>
}

export interface ScopeOptions {
  /** Time for `close`, ms: half of it for timers' and loops' callbacks to end, the rest for the disposers. */
  readonly closeDeadlineMs?: number
  /** Makes the back-off of one loop. */
  readonly backoff?: () => Backoff
}

const defaultCloseDeadlineMs = 5_000
const defaultBackoff = (): Backoff => createBackoff({ baseMs: 100, maxMs: 5_000, random: Math.random })

export function createScope(log: Log, options: ScopeOptions = {}): Scope {
  const { closeDeadlineMs = defaultCloseDeadlineMs, backoff = defaultBackoff } = options
  const ending = new AbortController()
  const cancels = new Set<() => void>()
  const running = new Set<Promise<void>>()
  const disposers: Disposer[] = []
  let closing: Promise<void> | null = null

  function track(work: Promise<void>): Promise<void> {
    running.add(work)
    return work.finally(() => running.delete(work))
  }
  function cancellable(cancel: () => void): () => void {
    const once = (): void => {
      cancels.delete(once)
      cancel()
    }
    cancels.add(once)
    return once
  }

  function every(ms: number, fn: () => void | Promise<void>): () => void {
    if (ending.signal.aborted) return nothing
    let busy = false
    const timer = setInterval(() => {
      if (busy) return
      busy = true
      void track(attempt(log, fn, 'a repeated task failed').finally(() => (busy = false)))
    }, ms)
    return cancellable(() => clearInterval(timer))
  }
  function after(ms: number, fn: () => void | Promise<void>): () => void {
    if (ending.signal.aborted) return nothing
    const timer = setTimeout(() => {
      cancels.delete(cancel)
      void track(attempt(log, fn, 'a delayed task failed'))
    }, ms)
    const cancel = cancellable(() => clearTimeout(timer))
    return cancel
  }
  function loop(name: string, turn: (signal: AbortSignal) => Promise<void>): () => Promise<void> {
    if (ending.signal.aborted) return async () => {}
    const own = new AbortController()
    const cancel = cancellable(() => own.abort())
    const done = track(repeat(turn, own.signal, { log: log.child({ loop: name }), backoff: backoff() }))
    return () => {
      cancel()
      return done
    }
  }
  function defer(disposer: Disposer): void {
    if (ending.signal.aborted) void track(attempt(log, disposer, 'a disposer failed'))
    else disposers.push(disposer)
  }
  async function shut(): Promise<void> {
    const deadlineAt = performance.now() + closeDeadlineMs
    ending.abort()
    for (const cancel of cancels) cancel()
    const ended = await within(Promise.all(running), closeDeadlineMs / 2)
    if (!ended) log.error('tasks are late at close', { tasks: running.size })
    for (const disposer of disposers.toReversed()) await dispose(log, disposer, deadlineAt)
  }
  return { signal: ending.signal, every, after, loop, defer, close: () => (closing ??= shut()) }
}

function nothing(): void {}

async function attempt(log: Log, fn: Disposer, failed: string): Promise<void> {
  try {
    await fn()
  } catch (error) {
    log.error(failed, { task: fn.name, err: error })
  }
}

/** Runs it even when the deadline has passed: then without waiting for its end. */
async function dispose(log: Log, disposer: Disposer, deadlineAt: number): Promise<void> {
  const leftMs = Math.max(0, deadlineAt - performance.now())
  const ended = await within(attempt(log, disposer, 'a disposer failed'), leftMs)
  if (!ended) log.error('a disposer is late at close', { task: disposer.name })
}

interface LoopParts {
  readonly log: Log
  readonly backoff: Backoff
}

async function repeat(
  turn: (signal: AbortSignal) => Promise<void>,
  signal: AbortSignal,
  parts: LoopParts,
): Promise<void> {
  while (!signal.aborted) {
    try {
      await turn(signal)
      parts.backoff.reset()
      // A turn that never truly waits must not starve the sockets.
      await new Promise((resolve) => setImmediate(resolve))
    } catch (error) {
      if (signal.aborted) {
        parts.log.debug('a loop ended with an error', { err: error })
        return
      }
      const delayMs = parts.backoff.next()
      parts.log.error('a loop failed and is repeated', { delayMs, err: error })
      await wait(delayMs, signal).catch(nothing)
    }
  }
}

/** Whether `work` ended within `ms`. It must not reject. */
async function within(work: Promise<unknown>, ms: number): Promise<boolean> {
  const timer = new AbortController()
  const late = wait(ms, timer.signal).then(
    () => false,
    () => false,
  )
  const inTime = await Promise.race([work.then(() => true), late])
  timer.abort()
  return inTime
}

export interface ShutdownOptions {
  /** Time for the drain and the scope's close together, ms. */
  readonly deadlineMs: number
  /** The process, by default. */
  readonly target?: { readonly events: EventEmitter; exit(code: number): void }
}

export interface Shutdown {
  /** Begins the same shutdown as a signal does. */
  begin(reason: string): void
  /** Takes the listeners off, for a process that ends in another way. */
  dispose(): void
}

/**
 * Ends the process in order. The first SIGTERM or SIGINT drains, closes the scope and exits 0; a second one, a drain
 * that fails or one beyond the deadline exits 1, as does an error that nobody caught (logged with `fatal: true`).
 */
export function onShutdown(scope: Scope, log: Log, drain: () => Promise<void>, options: ShutdownOptions): Shutdown {
  const { deadlineMs, target = { events: process, exit: (code: number) => process.exit(code) } } = options
  let state: 'running' | 'draining' | 'exited' = 'running'
  let deadline: NodeJS.Timeout | undefined

  function exit(code: number): void {
    if (state === 'exited') return
    state = 'exited'
    clearTimeout(deadline)
    target.exit(code)
  }
  function fatal(message: string, fields: Readonly<Record<string, unknown>>): void {
    if (state === 'exited') return
    log.error(message, { fatal: true, ...fields })
    exit(1)
  }
  async function end(): Promise<void> {
    await drain()
    await scope.close()
    if (state === 'draining') log.info('drained')
    exit(0)
  }
  function begin(reason: string): void {
    if (state === 'draining') fatal('exiting at once', { reason })
    if (state !== 'running') return
    state = 'draining'
    log.info('draining', { reason, deadlineMs })
    deadline = setTimeout(() => fatal('the drain took too long', { deadlineMs }), deadlineMs)
    end().catch((error: unknown) => fatal('the drain failed', { err: error }))
  }

  const listeners: Readonly<Record<string, (cause: unknown) => void>> = {
    SIGTERM: () => begin('SIGTERM'),
    SIGINT: () => begin('SIGINT'),
    unhandledRejection: (cause) => fatal('unhandled rejection', { err: cause }),
    uncaughtException: (cause) => fatal('uncaught exception', { err: cause }),
  }
  for (const [event, listener] of Object.entries(listeners)) target.events.on(event, listener)
  return {
    begin,
    dispose: () => {
      for (const [event, listener] of Object.entries(listeners)) target.events.off(event, listener)
    },
  }
}
