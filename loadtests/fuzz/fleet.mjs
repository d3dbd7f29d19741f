// The fleet under test: all of it in one process, as `make run` starts it, on the memory store.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { freePort } from '@flotilla/node/testing/free-port'
import { until } from '../harness/processes.mjs'

export const secret = 'fuzz-secret-fuzz-secret-fuzz-secret-0123456789'
export const ingestKey = 'fuzz-ingest-key-0123456789'
const root = fileURLToPath(new URL('../..', import.meta.url))
/** Complaints and output that are kept for the report. */
const maxKept = 20
const alive = new Set()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

/** Resolves when it takes events. `complaints()`: what it said that a fleet in health never says. `preload`: loaded before it. */
export async function startFleet(preload) {
  const ports = { edge: await freePort(), ingest: await freePort(), control: await freePort() }
  const outside = Object.entries(process.env).filter(([name]) => !/^(FLOTILLA_|VITEST|NODE_OPTIONS)/.test(name))
  const env = {
    ...Object.fromEntries(outside),
    FLOTILLA_JWT_SECRET: secret,
    FLOTILLA_INGEST_KEYS: `fuzz:${ingestKey}`,
    FLOTILLA_EDGE_PORT: String(ports.edge),
    FLOTILLA_INGEST_PORT: String(ports.ingest),
    FLOTILLA_CONTROL_PORT: String(ports.control),
    // All clients come from one machine.
    FLOTILLA_EDGE_ACCEPTS_PER_SECOND: '100000',
  }
  const imports = ['./loadtests/fuzz/probe.mjs', ...(preload === undefined ? [] : [preload])].flatMap((file) => [
    '--import',
    file,
  ])
  const args = ['--expose-gc', '--min-semi-space-size=16', ...imports, 'scripts/run.mjs']
  const child = spawn(process.execPath, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  alive.add(child)
  const complaints = []
  const complain = (text) => void (complaints.length < maxKept && complaints.push(text.slice(0, 2_000)))
  const logged = { error: 0, warn: 0 }
  child.stdout.setEncoding('utf8').on('data', (text) => {
    for (const line of text.split('\n')) {
      const level = /"level":"(warn|error)"/.exec(line)?.[1]
      if (level !== undefined) logged[level] += 1
      if (level === 'error' || line.includes('"fatal":true')) complain(line)
    }
  })
  child.stderr.setEncoding('utf8').on('data', (text) => complain(`outside of its log: ${text}`))
  child.once('exit', (code, signal) => {
    alive.delete(child)
    if (!stops) complain(`the fleet ended by itself (${code ?? signal})`)
  })
  let stops = false
  await until('the fleet takes events', () => post(ports.ingest))
  return {
    ports,
    logged,
    complaints: () => complaints,
    get runs() {
      return alive.has(child)
    },
    memory: async () => {
      child.send('memory')
      return (await once(child, 'message'))[0]
    },
    stop: async () => {
      stops = true
      if (!alive.has(child)) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

async function post(port) {
  const headers = { authorization: `Bearer ${ingestKey}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ room: 'public:ready', event: 'ready' })
  return fetch(`http://127.0.0.1:${port}/v1/events`, { method: 'POST', headers, body }).then(
    (response) => response.status === 202,
    () => false,
  )
}
