import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { Backoff } from './backoff.ts'
import type { Log, LogFields } from './log.ts'
import { createScope, onShutdown } from './scope.ts'

interface Line {
  readonly level: string
  readonly message: string
  readonly fields: LogFields | undefined
}

function recordingLog(lines: Line[] = []): Log & { readonly lines: Line[] } {
  const at = (level: string) => (message: string, fields?: LogFields) => void lines.push({ level, message, fields })
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: () => log }
  return { ...log, lines }
}

const resources = (): string[] =>
  process.getActiveResourcesInfo().filter((name) => name === 'Timeout' || name === 'Immediate')
const immediate = (): Backoff => ({ next: () => 0, reset: () => {} })
const never = new Promise<void>(() => {})

/** A promise and the function that resolves it. */
function gate(): { readonly opened: Promise<void>; open: () => void } {
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open }
}

describe('scope', () => {
  test('[SC1] after the close nothing of it is left: timers, loops, a back-off under way', async () => {
    const before = resources()
    const scope = createScope(recordingLog(), { backoff: () => ({ next: () => 3_600_000, reset: () => {} }) })
    const failed = gate()
    scope.every(3_600_000, () => {})
    scope.after(3_600_000, () => {})
    scope.loop(
      'waits',
      (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
    )
    scope.loop('fails', async () => {
      failed.open()
      throw new Error('down')
    })
    await failed.opened
    expect(resources().length).toBeGreaterThan(before.length)
    await scope.close()
    expect(scope.signal.aborted).toBe(true)
    expect(resources()).toEqual(before)
  })

  test('[SC1] disposers run in reverse order, after loops and tasks under way have ended', async () => {
    const order: string[] = []
    const scope = createScope(recordingLog())
    const [looping, task] = [gate(), gate()]
    scope.defer(() => void order.push('first deferred'))
    scope.defer(async () => void order.push('second deferred'))
    scope.loop('reader', async (signal) => {
      looping.open()
      await once(signal, 'abort')
      order.push('loop ended')
    })
    scope.after(0, async () => {
      task.open()
      await once(scope.signal, 'abort')
      order.push('task ended')
    })
    await Promise.all([looping.opened, task.opened])
    await scope.close()
    expect(order.slice(0, 2).toSorted()).toEqual(['loop ended', 'task ended'])
    expect(order.slice(2)).toEqual(['second deferred', 'first deferred'])
  })

  test('[SC1] a single timer or loop can be stopped before', async () => {
    const before = resources()
    const scope = createScope(recordingLog())
    const calls: string[] = []
    scope.every(1, () => void calls.push('every'))()
    scope.after(1, () => void calls.push('after'))()
    const turned = gate()
    const stop = scope.loop('l', async () => turned.open())
    await turned.opened
    await stop()
    expect(resources()).toEqual(before)
    await scope.close()
    expect(calls).toEqual([])
  })

  test('[SC2] close is idempotent, survives failing disposers and runs each once', async () => {
    const log = recordingLog()
    const scope = createScope(log)
    const calls: string[] = []
    scope.defer(() => void calls.push('a'))
    scope.defer(() => {
      calls.push('b')
      throw new Error('cannot close')
    })
    scope.defer(() => Promise.reject(new Error('cannot close either')))
    await Promise.all([scope.close(), scope.close()])
    await scope.close()
    expect(calls).toEqual(['b', 'a'])
    expect(log.lines.map(({ level, message }) => `${level} ${message}`)).toEqual(
      Array(2).fill('error a disposer failed'),
    )
  })

  test('[SC2] close ends by its deadline whatever hangs, says so, and still runs the others', async () => {
    const log = recordingLog()
    const scope = createScope(log, { closeDeadlineMs: 40 })
    const calls: string[] = []
    scope.defer(() => void calls.push('runs'))
    scope.defer(function stuck() {
      return never
    })
    scope.loop('deaf', () => never)
    await scope.close()
    expect(calls).toEqual(['runs'])
    expect(log.lines.map(({ message, fields }) => [message, fields])).toEqual([
      ['tasks are late at close', { tasks: 1 }],
      ['a disposer is late at close', { task: 'stuck' }],
    ])
  })

  test('[SC3] a failing task is logged and comes again', async () => {
    const log = recordingLog()
    const scope = createScope(log)
    let calls = 0
    const third = gate()
    scope.every(1, async () => {
      calls += 1
      if (calls === 3) third.open()
      throw new Error(`failure ${calls}`)
    })
    scope.after(0, () => {
      throw new Error('once')
    })
    await third.opened
    await scope.close()
    expect(log.lines.filter(({ message }) => message === 'a repeated task failed').length).toBeGreaterThanOrEqual(3)
    expect(log.lines.filter(({ message }) => message === 'a delayed task failed')).toHaveLength(1)
  })

  test('[SC3] a repeated task never runs twice at a time', () => {
    vi.useFakeTimers()
    try {
      const scope = createScope(recordingLog())
      let calls = 0
      scope.every(10, () => {
        calls += 1
        return never
      })
      vi.advanceTimersByTime(1_000)
      expect(calls).toBe(1)
    } finally {
      vi.useRealTimers()
    }
  })

  test('[SC4] a loop that fails goes on after a back-off, which success resets', async () => {
    const log = recordingLog()
    const delays: string[] = []
    const backoff: Backoff = {
      next: () => {
        delays.push('next')
        return 0
      },
      reset: () => void delays.push('reset'),
    }
    const scope = createScope(log, { backoff: () => backoff })
    let turns = 0
    const done = gate()
    scope.loop('reader', async () => {
      turns += 1
      if (turns < 3) throw new Error(`failure ${turns}`)
      if (turns === 4) done.open()
    })
    await done.opened
    await scope.close()
    expect(delays.slice(0, 3)).toEqual(['next', 'next', 'reset'])
    expect(log.lines.filter(({ message }) => message === 'a loop failed and is repeated')).toHaveLength(2)
  })

  test('[SC4] a loop that never waits starves nobody', async () => {
    const scope = createScope(recordingLog(), { backoff: immediate })
    scope.loop('busy', async () => {})
    const fired = gate()
    scope.after(1, () => fired.open())
    expect(await fired.opened).toBeUndefined()
    await scope.close()
  })

  test('[SC5] after the close nothing starts, and a late disposer runs at once', async () => {
    const before = resources()
    const scope = createScope(recordingLog())
    await scope.close()
    const calls: string[] = []
    scope.every(0, () => void calls.push('every'))
    scope.after(0, () => void calls.push('after'))
    await scope.loop('l', async () => void calls.push('loop'))()
    scope.defer(() => void calls.push('deferred'))
    expect(calls).toEqual(['deferred'])
    expect(resources()).toEqual(before)
  })
})

describe('shutdown', () => {
  function start(drain: () => Promise<void>, deadlineMs = 60_000) {
    const log = recordingLog()
    const scope = createScope(log)
    const events = new EventEmitter()
    const codes: number[] = []
    const exited = gate()
    const exit = (code: number): void => {
      codes.push(code)
      exited.open()
    }
    const shutdown = onShutdown(scope, log, drain, { deadlineMs, target: { events, exit } })
    const said = (): string[] => log.lines.map(({ message }) => message)
    return { log, scope, events, codes, exited: exited.opened, shutdown, said }
  }

  test.each(['SIGTERM', 'SIGINT'])('[SC6] %s drains, closes the scope, exits 0', async (signal) => {
    const order: string[] = []
    const { scope, events, codes, exited, said } = start(async () => void order.push('drained'))
    scope.defer(() => void order.push('disposed'))
    const before = resources()
    events.emit(signal)
    await exited
    expect(order).toEqual(['drained', 'disposed'])
    expect(codes).toEqual([0])
    expect(said()).toEqual(['draining', 'drained'])
    expect(resources()).toEqual(before)
  })

  test('[SC7] a second signal exits at once, non-zero, and says so', async () => {
    const { events, codes, said } = start(() => never)
    events.emit('SIGTERM')
    events.emit('SIGTERM')
    events.emit('SIGTERM')
    expect(codes).toEqual([1])
    expect(said()).toEqual(['draining', 'exiting at once'])
  })

  test('[SC7] a drain beyond the deadline exits 1', async () => {
    const { shutdown, codes, exited, said } = start(() => never, 5)
    shutdown.begin('asked')
    await exited
    expect(codes).toEqual([1])
    expect(said()).toEqual(['draining', 'the drain took too long'])
  })

  test('[SC7] a drain that fails exits 1', async () => {
    const { events, codes, exited, log } = start(() => Promise.reject(new Error('no')))
    events.emit('SIGINT')
    await exited
    expect(codes).toEqual([1])
    expect(log.lines.at(-1)).toMatchObject({ level: 'error', message: 'the drain failed', fields: { fatal: true } })
  })

  test.each(['unhandledRejection', 'uncaughtException'])('[SC8] %s is fatal', (event) => {
    const { events, codes, log } = start(() => never)
    events.emit(event, new Error('bug'))
    expect(codes).toEqual([1])
    expect(log.lines).toMatchObject([{ level: 'error', fields: { fatal: true, err: new Error('bug') } }])
  })

  test('[SC8] dispose takes every listener off', () => {
    const { events, shutdown } = start(() => never)
    expect(events.eventNames()).toHaveLength(4)
    shutdown.dispose()
    expect(events.eventNames()).toEqual([])
  })
})

const program = `
  import { createLog } from './log.ts'
  import { createScope, onShutdown } from './scope.ts'
  const mode = process.argv[2]
  const log = createLog({ service: 'test', level: 'debug' })
  const scope = createScope(log)
  scope.every(1_000, () => {})
  scope.loop('idle', (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())))
  const drain = () => (mode === 'hang' ? new Promise(() => {}) : Promise.resolve())
  if (mode === 'close') {
    scope.close().then(() => log.info('closed', { left: process.getActiveResourcesInfo().filter((name) => name === 'Timeout') }))
  } else {
    onShutdown(scope, log, drain, { deadlineMs: 60_000 })
    log.info('up')
    if (mode === 'reject') void Promise.reject(new Error('nobody catches'))
  }
`

describe('a real process', () => {
  const folder = mkdtempSync(join(tmpdir(), 'scope-'))
  const file = join(folder, 'program.mjs')

  beforeAll(async () => {
    await build({
      stdin: { contents: program, resolveDir: import.meta.dirname, loader: 'ts' },
      bundle: true,
      platform: 'node',
      format: 'esm',
      outfile: file,
      logLevel: 'error',
      banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)" },
    })
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  function run(mode: string) {
    const child: ChildProcess = spawn(process.execPath, [file, mode], { stdio: ['ignore', 'pipe', 'inherit'] })
    const lines = new EventEmitter()
    let output = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      lines.emit('more')
    })
    const says = async (text: string): Promise<void> => {
      while (!output.includes(text)) await once(lines, 'more')
    }
    const ended = once(child, 'close').then(([code]: unknown[]) => ({ code, output }))
    return { child, says, ended }
  }

  test('[SC6] SIGTERM exits 0', async () => {
    const { child, says, ended } = run('drain')
    await says('"up"')
    child.kill('SIGTERM')
    expect(await ended).toMatchObject({ code: 0, output: expect.stringContaining('"msg":"drained"') })
  })

  test('[SC7] a second SIGTERM exits 1 with a line that says so', async () => {
    const { child, says, ended } = run('hang')
    await says('"up"')
    child.kill('SIGTERM')
    await says('"draining"')
    child.kill('SIGTERM')
    expect(await ended).toMatchObject({ code: 1, output: expect.stringContaining('exiting at once') })
  })

  test('[SC8] an unhandled rejection exits 1 with a fatal line', async () => {
    const result = await run('reject').ended
    expect(result).toMatchObject({ code: 1, output: expect.stringContaining('"fatal":true') })
    expect(result.output).toContain('nobody catches')
  })

  test('[SC1] a process whose scope is closed ends by itself', async () => {
    expect(await run('close').ended).toMatchObject({ code: 0, output: expect.stringContaining('"left":[]') })
  })
})
