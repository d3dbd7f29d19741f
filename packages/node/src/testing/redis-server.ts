import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { freePort } from './free-port.ts'

/** A real server for tests: on a free loopback port, in a directory of its own, always `noeviction` and without snapshots. */
export interface RedisOptions {
  /** Append-only file, synced before every reply: nothing acknowledged is lost in a crash. */
  readonly appendonly?: boolean
  /** For example `'64mb'`. */
  readonly maxmemory?: string
  readonly cluster?: boolean
  /** Further arguments, as on the command line. */
  readonly args?: readonly string[]
  /** A command line in front of the server's, for example `['taskset', '-c', '0']`. */
  readonly prefix?: readonly string[]
}

export interface RedisServer {
  readonly url: string
  readonly port: number
  /** The server's pid while it runs. */
  readonly pid: number | undefined
  /** SIGTERM; resolves when it has ended. Its directory stays. */
  stop(): Promise<void>
  /** SIGKILL; resolves when it has ended. Its directory stays. */
  kill9(): Promise<void>
  /** Starts it again, same port, same directory; resolves when it answers. */
  start(): Promise<void>
  /** SIGSTOP and SIGCONT: the server neither answers nor refuses. */
  pause(): void
  resume(): void
  /** One command, on a connection of its own. */
  call(command: string, ...args: readonly (string | number)[]): Promise<unknown>
  /** Kills it and removes its directory. */
  close(): Promise<void>
}

/** Time for a server to answer, and for a cluster to become whole, ms. */
const startDeadlineMs = 15_000
const startAttempts = 5
const pollMs = 15

/** Rejects with the server's output when it does not start. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  for (let attempt = 1; ; attempt += 1) {
    const server = new LocalServer(await freePort(), await freePort(), options)
    try {
      await server.start()
      return server
    } catch (error) {
      await server.close()
      // Somebody else took the port between the look and the start.
      const taken = error instanceof Error && /Address already in use|Could not create server/i.test(error.message)
      if (!taken || attempt === startAttempts) throw error
    }
  }
}

export interface RedisCluster {
  readonly nodes: readonly RedisServer[]
  /** All nodes, separated by commas. */
  readonly url: string
  close(): Promise<void>
}

/** A cluster of `size` masters without replicas; resolves when every node says that it is whole. */
export async function startCluster(size = 3, options: RedisOptions = {}): Promise<RedisCluster> {
  const started = await Promise.allSettled(
    Array.from({ length: size }, () => startRedis({ ...options, cluster: true })),
  )
  const nodes = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const close = async (): Promise<void> => {
    await Promise.all(nodes.map((node) => node.close()))
  }
  try {
    for (const each of started) if (each.status === 'rejected') throw each.reason
    await join16384(nodes)
  } catch (error) {
    await close()
    throw error
  }
  return { nodes, url: nodes.map((node) => node.url).join(','), close }
}

async function join16384(nodes: readonly RedisServer[]): Promise<void> {
  const [first] = nodes
  if (first === undefined) throw new RangeError('a cluster has at least one node')
  const bus = String(await first.call('CONFIG', 'GET', 'cluster-port')).split(',')[1] ?? '0'
  await Promise.all(
    nodes.map(async (node, i) => {
      const [from, to] = [i, i + 1].map((edge) => Math.floor((edge * 16_384) / nodes.length))
      await node.call('CLUSTER', 'ADDSLOTSRANGE', from ?? 0, (to ?? 0) - 1)
      await node.call('CLUSTER', 'SET-CONFIG-EPOCH', i + 1)
    }),
  )
  for (const node of nodes.slice(1)) await node.call('CLUSTER', 'MEET', '127.0.0.1', first.port, bus)
  await until('the cluster is whole', async () => {
    const infos = await Promise.all(nodes.map(async (node) => String(await node.call('CLUSTER', 'INFO'))))
    return infos.every(
      (info) => info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${nodes.length}`),
    )
  })
}

class LocalServer implements RedisServer {
  readonly port: number
  readonly #busPort: number
  readonly #options: RedisOptions
  readonly #dir = mkdtempSync(join(tmpdir(), 'flotilla-redis-'))
  #child: ChildProcess | undefined
  #ended: Promise<void> = Promise.resolve()
  #output = ''
  readonly #onExit = (): void => {
    this.#child?.kill('SIGKILL')
    rmSync(this.#dir, { recursive: true, force: true })
  }

  constructor(port: number, busPort: number, options: RedisOptions) {
    this.port = port
    this.#busPort = busPort
    this.#options = options
    // Nothing outlives the process that started it, whatever becomes of the tests.
    process.on('exit', this.#onExit)
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`
  }
  get pid(): number | undefined {
    return this.#child?.pid
  }

  async start(): Promise<void> {
    if (this.#child !== undefined) throw new Error('the server runs already')
    const [command = 'redis-server', ...args] = [...(this.#options.prefix ?? []), 'redis-server', ...this.#args()]
    this.#output = ''
    const child = spawn(command, args, { cwd: this.#dir, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    let failed: Error | undefined
    this.#ended = new Promise((resolve) => {
      const end = (): void => {
        this.#child = undefined
        resolve()
      }
      child.once('exit', end)
      child.once('error', (error) => {
        failed = error
        end()
      })
    })
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.#output = (this.#output + text).slice(-20_000)))
    }
    await until('redis-server answers', async () => {
      if (this.#child === undefined) throw failed ?? new Error(`redis-server ended:\n${this.#output}`)
      // While it loads its file it refuses; while it starts nobody listens.
      return this.call('PING').then(
        (answer) => answer === 'PONG',
        () => false,
      )
    })
  }

  #args(): string[] {
    const { appendonly = false, maxmemory, cluster = false, args = [] } = this.#options
    return [
      ...['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.#dir, '--save', ''],
      ...['--maxmemory-policy', 'noeviction', '--appendonly', appendonly ? 'yes' : 'no', '--appendfsync', 'always'],
      ...(maxmemory === undefined ? [] : ['--maxmemory', maxmemory]),
      ...(cluster ? ['--cluster-enabled', 'yes', '--cluster-port', String(this.#busPort)] : []),
      ...args,
    ]
  }

  stop(): Promise<void> {
    return this.#end('SIGTERM')
  }
  kill9(): Promise<void> {
    return this.#end('SIGKILL')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    this.#child?.kill(signal)
    await this.#ended
  }

  pause(): void {
    this.#child?.kill('SIGSTOP')
  }
  resume(): void {
    this.#child?.kill('SIGCONT')
  }

  async call(command: string, ...args: readonly (string | number)[]): Promise<unknown> {
    const connection = new Redis(this.url, {
      protocol: 2,
      lazyConnect: true,
      retryStrategy: () => null,
      maxRetriesPerRequest: 0,
      connectTimeout: 2_000,
      commandTimeout: 5_000,
      enableReadyCheck: false,
    })
    // Every failure also rejects the call.
    connection.on('error', () => {})
    try {
      await connection.connect()
      return await connection.call(command, ...args)
    } finally {
      connection.disconnect()
    }
  }

  async close(): Promise<void> {
    await this.kill9()
    process.off('exit', this.#onExit)
    rmSync(this.#dir, { recursive: true, force: true })
  }
}

/** Rejects when `condition` did not become true in time; throws what it throws. */
async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + startDeadlineMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`not within ${startDeadlineMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}
