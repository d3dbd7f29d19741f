import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'

/** A real NATS server with JetStream for tests: on a free loopback port, with files in a directory of its own. */
export interface NatsServer {
  readonly url: string
  /** SIGKILL; resolves when it has ended. Its directory stays. */
  kill9(): Promise<void>
  /** Starts it again, same port, same directory; resolves when it answers. */
  start(): Promise<void>
  /** Kills it and removes its directory. */
  close(): Promise<void>
}

/** Time for a server to answer, ms. */
const startDeadlineMs = 15_000
const pollMs = 20
/** Characters of its output that are kept for the report. */
const maxOutput = 10_000

/** Rejects with the server's output when it does not start. */
export async function startNats(): Promise<NatsServer> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'flotilla-nats-'))
  let child: ChildProcess | undefined
  let ended: Promise<void> = Promise.resolve()
  let output = ''
  const onExit = (): void => {
    child?.kill('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }
  // Nothing outlives the process that started it, whatever becomes of the tests.
  process.on('exit', onExit)

  async function start(): Promise<void> {
    const args = ['--jetstream', '--store_dir', folder, '--addr', '127.0.0.1', '--port', String(port)]
    const running = spawn('nats-server', args, { stdio: ['ignore', 'ignore', 'pipe'] })
    child = running
    output = ''
    running.stderr.setEncoding('utf8').on('data', (text: string) => (output = (output + text).slice(-maxOutput)))
    ended = new Promise((resolve) => {
      const end = (): void => {
        child = undefined
        resolve()
      }
      running.once('exit', end)
      running.once('error', (error) => {
        output += String(error)
        end()
      })
    })
    const deadline = performance.now() + startDeadlineMs
    while (!(await greets(port))) {
      if (child === undefined || performance.now() > deadline)
        throw new Error(`nats-server does not answer:\n${output}`)
      await new Promise((resolve) => setTimeout(resolve, pollMs))
    }
  }

  async function kill9(): Promise<void> {
    child?.kill('SIGKILL')
    await ended
  }

  async function close(): Promise<void> {
    await kill9()
    process.off('exit', onExit)
    rmSync(folder, { recursive: true, force: true })
  }

  try {
    await start()
  } catch (error) {
    await close()
    throw error
  }
  return { url: `nats://127.0.0.1:${port}`, kill9, start, close }
}

/** A server says who it is as soon as somebody connects. */
function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const end = (greeted: boolean): void => {
      socket.destroy()
      resolve(greeted)
    }
    socket.once('data', (bytes) => end(bytes.toString().startsWith('INFO ')))
    socket.once('error', () => end(false))
    socket.setTimeout(1_000, () => end(false))
  })
}
