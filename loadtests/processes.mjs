// What the benchmark runs: processes of the fleet and load processes, each on the core it is given.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { freePort } from '@flotilla/node/testing/free-port'

const root = fileURLToPath(new URL('..', import.meta.url))
const alive = new Set()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

const cores = spawnSync('nproc').stdout?.toString().trim() ?? '1'
/** Whether the servers get core 0 for themselves and the load core 1. */
export const pinned = Number(cores) >= 2 && spawnSync('taskset', ['-V']).status === 0
export const onCore = (core) => (pinned ? ['taskset', '-c', String(core)] : [])

function start(core, args, env, stdio) {
  const outside = Object.entries(process.env).filter(([name]) => !name.startsWith('FLOTILLA_'))
  const [command, ...rest] = [...onCore(core), process.execPath, ...args]
  const child = spawn(command, rest, { cwd: root, env: { ...Object.fromEntries(outside), ...env }, stdio })
  alive.add(child)
  child.once('exit', () => alive.delete(child))
  return child
}

export async function until(what, look, withinMs = 30_000) {
  const deadline = performance.now() + withinMs
  for (;;) {
    const seen = await look()
    if (seen) return seen
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** Starts a service on core 0 and waits until it is ready. */
export async function startService(service, id, env) {
  const [port, adminPort] = [await freePort(), await freePort()]
  const prefix = `FLOTILLA_${service.toUpperCase()}`
  const own = {
    FLOTILLA_MEMBER_ID: id,
    FLOTILLA_LOG_LEVEL: 'warn',
    FLOTILLA_ADMIN_HOST: '127.0.0.1',
    [`${prefix}_ADMIN_PORT`]: String(adminPort),
    ...(service === 'shard' ? {} : { [`${prefix}_PORT`]: String(port), [`${prefix}_HOST`]: '127.0.0.1' }),
  }
  const child = start(0, [`services/${service}/dist/main.js`], { ...own, ...env }, ['ignore', 'inherit', 'inherit'])
  const admin = `http://127.0.0.1:${adminPort}`
  await until(`${id} is ready`, async () => {
    if (child.exitCode !== null) throw new Error(`${id} ended with ${child.exitCode}`)
    return fetch(`${admin}/readyz`).then(
      async (response) => (await response.text(), response.ok),
      () => false,
    )
  })
  return {
    id,
    port,
    /** Seconds of CPU so far. */
    cpu: async () => metric(await (await fetch(`${admin}/metrics`)).text(), 'process_cpu_seconds_total'),
    metric: async (name) => metric(await (await fetch(`${admin}/metrics`)).text(), name),
    stop: async () => {
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** The sum of a metric over its labels. */
function metric(text, name) {
  let sum = 0
  for (const line of text.split('\n')) {
    if (line.startsWith(`${name}{`) || line.startsWith(`${name} `)) sum += Number(line.slice(line.lastIndexOf(' ') + 1))
  }
  return sum
}

/** Starts a load process. `ask` sends it a message and resolves with its answer; it answers in order. */
export function startLoad(file, core, env = {}) {
  const child = start(core, [`loadtests/${file}`], env, ['ignore', 'inherit', 'inherit', 'ipc'])
  const waiting = []
  child.on('message', (answer) => waiting.shift()?.resolve(answer))
  child.on('exit', (code) => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`${file} ended with ${code}`))
  })
  return {
    ask: (message) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject })
        child.send(message)
      }),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}

/** Seconds of CPU that the server has used so far. */
export async function redisCpu(redis) {
  const info = String(await redis.call('INFO', 'cpu'))
  return Number(/used_cpu_user:([\d.]+)/.exec(info)?.[1]) + Number(/used_cpu_sys:([\d.]+)/.exec(info)?.[1])
}

/** Resolves when every slot is owned and no move is under way. */
export async function owned(control) {
  await until('every slot is owned', async () => {
    const fleet = await fetch(`http://127.0.0.1:${control.port}/v1/fleet`).then((response) => response.json())
    const slots = Object.values(fleet.plan?.slots ?? {}).flat().length
    return slots === 128 && fleet.plan.inFlight.length === 0 && fleet.plan.orphans.length === 0
  })
}

/** The value below which the share `p` of the sorted values lies; null without values. */
export const percentile = (sorted, p) =>
  sorted.length === 0 ? null : sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))]
