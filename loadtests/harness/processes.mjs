// Starts the processes of the fleet and those that make its load, and knows what each has cost so far.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { freePort } from '@flotilla/node/testing/free-port'
import { onCore } from './cores.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
/** A process that has not ended so long after SIGTERM is killed, ms. */
const stopDeadlineMs = 20_000
/** Of the times in /proc/stat; 100 on every Linux. */
const ticksPerSecond = 100
const alive = new Set()
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL')
})

/**
 * Seconds of CPU of a process so far, all its threads, from the scheduler's own count in nanoseconds: asking costs the
 * process nothing, and the ticks of /proc/<pid>/stat are too coarse for a run of seconds.
 */
export function cpuOf(pid) {
  let nanoseconds = 0
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ', 1)[0])
  }
  return nanoseconds / 1e9
}

/** Seconds of CPU that the whole machine has been busy so far: what is not ours of it disturbs the figures. */
export function machineCpu() {
  const [, user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0].split(/\s+/)
  return (Number(user) + Number(nice) + Number(system) + Number(irq) + Number(softirq)) / ticksPerSecond
}

/** KB of memory of a process that are resident. */
export const rssOf = (pid) => Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** Resolves with the first thing seen; rejects when there was none in time. */
export async function until(what, look, withinMs = 30_000, everyMs = 25) {
  const deadline = performance.now() + withinMs
  for (;;) {
    const seen = await look()
    if (seen) return seen
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`)
    await sleep(everyMs)
  }
}

/** What `npm start` gives Node: the heap of a busy service is set there. */
export function startFlags(service) {
  const { scripts } = JSON.parse(readFileSync(`${root}services/${service}/package.json`, 'utf8'))
  return scripts.start.split(' ').slice(1, -1)
}

function start({ place, args, env, stdio }) {
  const outside = Object.entries(process.env).filter(([name]) => !name.startsWith('FLOTILLA_'))
  const [command, ...rest] = [...onCore(place), process.execPath, ...args]
  const child = spawn(command, rest, { cwd: root, env: { ...Object.fromEntries(outside), ...env }, stdio })
  alive.add(child)
  child.once('exit', () => alive.delete(child))
  return child
}

async function end(child, ask, withinMs = stopDeadlineMs) {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  ask()
  const timer = setTimeout(() => child.kill('SIGKILL'), withinMs)
  await ended
  clearTimeout(timer)
}

/** Starts a service of the fleet and waits until it says that it is ready. */
export async function startService(service, { id, env, place, nodeArgs = [], stopWithinMs }) {
  const [port, adminPort] = [await freePort(), await freePort()]
  const prefix = `FLOTILLA_${service.toUpperCase()}`
  const own = {
    FLOTILLA_MEMBER_ID: id,
    FLOTILLA_LOG_LEVEL: 'warn',
    FLOTILLA_ADMIN_HOST: '127.0.0.1',
    [`${prefix}_ADMIN_PORT`]: String(adminPort),
    ...(service === 'shard' ? {} : { [`${prefix}_PORT`]: String(port), [`${prefix}_HOST`]: '127.0.0.1' }),
  }
  const args = [...nodeArgs, ...startFlags(service), `services/${service}/dist/main.js`]
  const child = start({ place, args, env: { ...own, ...env }, stdio: ['ignore', 'inherit', 'inherit'] })
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
    pid: child.pid,
    port,
    adminPort,
    /** The sum of a metric over its series, or over those whose labels contain `label`. */
    metric: async (name, label = '') => sumOf(await (await fetch(`${admin}/metrics`)).text(), name, label),
    /** Several of them from one look, by name. */
    metrics: async (names) => {
      const text = await (await fetch(`${admin}/metrics`)).text()
      return Object.fromEntries(names.map((name) => [name, sumOf(text, name)]))
    },
    signal: (name) => child.kill(name),
    /** Resolves with its exit code. */
    stop: async () => {
      await end(child, () => child.kill('SIGTERM'), stopWithinMs)
      return child.exitCode
    },
  }
}

function sumOf(text, name, label = '') {
  let sum = 0
  for (const line of text.split('\n')) {
    const isOfName = line.startsWith(`${name}{`) || line.startsWith(`${name} `)
    if (isOfName && line.includes(label)) sum += Number(line.slice(line.lastIndexOf(' ') + 1))
  }
  return sum
}

/** Starts a process that makes load. `ask` sends it a message and resolves with its answer; it answers in order. */
export function startLoad(file, { id = file, env = {}, place = 'load', nodeArgs = [] } = {}) {
  const args = [...nodeArgs, `loadtests/${file}`]
  const child = start({ place, args, env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const waiting = []
  child.on('message', (answer) => {
    const asked = waiting.shift()
    if (answer.failed === undefined) asked?.resolve(answer)
    else asked?.reject(new Error(`${id}: ${answer.failed}`))
  })
  child.on('exit', (code) => {
    for (const { reject } of waiting.splice(0)) reject(new Error(`${id} ended with ${code}`))
  })
  return {
    id,
    pid: child.pid,
    ask: (call, message = {}) =>
      new Promise((resolve, reject) => {
        waiting.push({ resolve, reject })
        child.send({ ...message, call })
      }),
    signal: (name) => child.kill(name),
    stop: () => end(child, () => child.disconnect()),
  }
}

/** Starts the yardstick; resolves when it has worked for the first time. `rounds`: microseconds of CPU of each so far. */
export async function startYardstick(place) {
  const child = start({
    place,
    args: ['loadtests/yardstick.mjs'],
    env: {},
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const yardstick = {
    pid: child.pid,
    rounds: [],
    stop: () => end(child, () => child.disconnect()),
  }
  child.on('message', ({ microseconds }) => yardstick.rounds.push(microseconds))
  await once(child, 'message')
  return yardstick
}

/** The other end of `ask`: answers each message with what the call of that name returns. */
export function answerCalls(calls) {
  // One after the other, so that the answers are in the order of the questions.
  let last = Promise.resolve()
  process.on('message', (message) => {
    last = last.then(async () => {
      const answer = await Promise.resolve(calls[message.call](message)).catch((error) => ({ failed: error.stack }))
      process.send(answer ?? {})
    })
  })
  process.on('disconnect', () => process.exit(0))
}
