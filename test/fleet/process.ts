import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { until } from './until.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** Characters of a process's output that are kept for the report. */
const maxOutput = 200_000
/** Characters of a line in a report. */
const maxShown = 400

export type ServiceName = 'edge' | 'shard' | 'control' | 'ingest'
type LogEntry = Readonly<Record<string, unknown>>
type Exit = { readonly code: number | null; readonly signal: NodeJS.Signals | null }

export interface FleetProcess {
  readonly name: string
  /** Of the service itself; 0 for a worker, which has none. */
  readonly port: number
  readonly adminPort: number
  readonly running: boolean
  /** Whether it stands still: the kernel says that a signal stopped it. */
  readonly stopped: boolean
  readonly pid: number | undefined
  /** Sends a signal to the process and resolves with how it ended. */
  kill(signal: NodeJS.Signals): Promise<Exit>
  /** Sends a signal that does not end it. */
  signal(signal: NodeJS.Signals): void
  /** From now on it may end by itself; resolves with how it did. */
  ending(): Promise<Exit>
  /** Starts it again with the same settings but for those given; resolves when it is ready. */
  start(env?: Readonly<Record<string, string>>): Promise<void>
  /** Another process of the same name, not started yet. */
  twin(adminPort: number): FleetProcess
  /** What is wrong with it and its twins: ends that nobody asked for, errors that nobody caught, text outside the log. */
  complaints(): readonly string[]
  /** The entries of its log with this message, over all its lives, as far back as its output is kept. */
  logged(message: string): readonly LogEntry[]
  /** Its last lines, for the report of a failing test. */
  tail(lines: number): string
}

export interface ProcessOptions {
  readonly name: string
  readonly service: ServiceName
  readonly port: number
  readonly adminPort: number
  readonly env: Readonly<Record<string, string>>
  /** Arguments of node itself. */
  readonly nodeArgs?: readonly string[]
}

const alive = new Set<ChildProcess>()
// Nothing outlives the test run, however it ends.
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

/** A node process that ends with this one at the latest. It sees no variable of a fleet but these. */
export function spawnNode(args: readonly string[], env: Readonly<Record<string, string>>): ChildProcess {
  const outside = Object.entries(process.env).filter(([name]) => !/^(FLOTILLA_|VITEST|NODE_OPTIONS)/.test(name))
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...Object.fromEntries(outside), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  alive.add(child)
  child.once('exit', () => alive.delete(child))
  return child
}

export const mainOf = (service: ServiceName): string => `services/${service}/dist/main.js`

export function createProcess(options: ProcessOptions): FleetProcess {
  const { name, service, port, adminPort, env, nodeArgs = [] } = options
  const found: string[] = []
  const twins: FleetProcess[] = []
  let output = ''
  let child: ChildProcess | undefined
  let asked = false

  function listen(running: ChildProcess): void {
    running.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-maxOutput)
      for (const line of text.split('\n')) if (line.includes('"fatal":true')) found.push(`${name}: ${line}`)
    })
    running.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-maxOutput)
      found.push(`${name} wrote outside its log: ${text}`)
    })
    running.once('exit', (code, signal) => {
      child = undefined
      if (!asked) found.push(`${name} ended by itself (${code ?? signal})\n${tail(20)}`)
    })
  }

  function tail(lines: number): string {
    const last = output.trimEnd().split('\n').slice(-lines)
    return last.map((line) => line.slice(0, maxShown)).join('\n')
  }

  async function start(more: Readonly<Record<string, string>> = {}): Promise<void> {
    if (child !== undefined) throw new Error(`${name} runs already`)
    asked = false
    child = spawnNode([...nodeArgs, mainOf(service)], { ...env, ...more })
    listen(child)
    await until(`${name} is ready`, async () => {
      if (child === undefined) throw new Error(`${name} ended at its start\n${tail(20)}`)
      return isReady(adminPort)
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${tail(20)}`)
    })
  }

  async function ending(): Promise<Exit> {
    if (child === undefined) return { code: null, signal: null }
    asked = true
    const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
    return { code, signal }
  }

  function kill(signal: NodeJS.Signals): Promise<Exit> {
    const ended = ending()
    child?.kill(signal)
    return ended
  }

  return {
    name,
    port,
    adminPort,
    get running() {
      return child !== undefined
    },
    get stopped() {
      return child !== undefined && isStopped(child.pid)
    },
    get pid() {
      return child?.pid
    },
    kill,
    ending,
    signal: (signal) => void child?.kill(signal),
    start,
    twin: (port) => {
      const twin = createProcess({
        ...options,
        adminPort: port,
        env: { ...env, [`FLOTILLA_${service.toUpperCase()}_ADMIN_PORT`]: String(port) },
      })
      twins.push(twin)
      return twin
    },
    complaints: () => [...found, ...twins.flatMap((each) => each.complaints())],
    logged: (message) => entriesOf(output, message),
    tail,
  }
}

function isStopped(pid: number | undefined): boolean {
  try {
    // The state is the first field after the name, which is in parentheses.
    return /^.*\) [Tt] /s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** A line that is not whole, the first that is kept or the last so far, is none. */
function entriesOf(output: string, message: string): LogEntry[] {
  const named = output.split('\n').filter((line) => line.includes(`"msg":${JSON.stringify(message)}`))
  return named.flatMap((line) => {
    try {
      return [JSON.parse(line) as LogEntry]
    } catch {
      return []
    }
  })
}

/** Whether the process says that it can take work. */
export async function isReady(adminPort: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${adminPort}/readyz`, { signal: AbortSignal.timeout(2_000) })
    await response.arrayBuffer()
    return response.ok
  } catch {
    return false
  }
}
