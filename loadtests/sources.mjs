/**
 * make sources: events go through a JetStream stream into rooms while the ingest process that takes them and the NATS server are killed
 * again and again. Then the stream, what a subscriber of every room saw, and the rooms' logs are compared: each event has to be in its room
 * once, in the order of the stream. Writes the figures; ends with 1 when there is a fault. --events, --rooms, --kills (of each kind),
 * --ingests and --out change the trial.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { signToken } from '@flotilla/node/jwt'
import { startNats } from '@flotilla/node/testing/nats-server'
import { startRedis } from '@flotilla/node/testing/redis-server'
import { startService, until } from './harness/processes.mjs'
import { judge } from './sources/judge.mjs'
import { createStream, readStream, startPublisher } from './sources/publisher.mjs'
import { subscribe } from './sources/subscriber.mjs'

const { values: args } = parseArgs({
  options: {
    events: { type: 'string', default: '100000' },
    rooms: { type: 'string', default: '400' },
    kills: { type: 'string', default: '5' },
    ingests: { type: 'string', default: '2' },
    out: { type: 'string', default: 'out/sources.json' },
  },
})
const [events, rooms, kills, ingests] = [args.events, args.rooms, args.kills, args.ingests].map(Number)
const secret = 'trial-secret-trial-secret-trial-secret-01'
const key = 'trial-ingest-key-0123456789'
const source = { name: 'trial', stream: 'TRIAL', durable: 'trial-bridge', ackWaitMs: 2_000 }
/** Events that are published before they have arrived: some of them while NATS is killed, and enough for every room to be busy. */
const ahead = Math.min(5_000, events / 4)
/** Time for everything to arrive once everything was published and nothing is killed any more, ms. */
const arriveWithinMs = 180_000

const startedAt = Date.now()
const say = (text) => process.stderr.write(`${((Date.now() - startedAt) / 1_000).toFixed(1).padStart(6)} s  ${text}\n`)
const folder = mkdtempSync(join(tmpdir(), 'flotilla-sources-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

const [redis, nats] = await Promise.all([startRedis({ appendonly: true }), startNats()])
const file = join(folder, 'sources.json')
const map = [{ subject: 'task.{room}.{step}', to: { room: 'public:{room}' }, event: 'task.{step}' }]
const common = { type: 'nats', ...source, servers: [nats.url], maxInFlight: 1_000, map }
writeFileSync(file, JSON.stringify({ sources: [{ ...common, filters: ['task.>'] }] }))
const env = {
  FLOTILLA_REDIS_URL: redis.url,
  FLOTILLA_JWT_SECRET: secret,
  FLOTILLA_INGEST_KEYS: `trial:${key}`,
  FLOTILLA_LOG_LEVEL: 'error',
  FLOTILLA_SOURCES_FILE: file,
}
const start = (service, id) => startService(service, { id, env, place: 'free' })
await createStream(nats.url, source.stream)
const [control, edge] = await Promise.all([
  start('control', 'control-1'),
  start('edge', 'edge-1'),
  start('shard', 'shard-1'),
])
const bridges = await Promise.all(Array.from({ length: ingests }, (_, i) => start('ingest', `ingest-${i + 1}`)))
await until('every slot is owned', async () => {
  const view = await fetch(`http://127.0.0.1:${control.port}/v1/fleet`).then((response) => response.json())
  return Object.values(view.plan?.slots ?? {}).flat().length === 128 && view.plan.inFlight.length === 0
})
const names = Array.from({ length: rooms }, (_, i) => `public:r${i}`)
const token = signToken({ secret, sub: 'watcher', ttlSeconds: 3_600 })
const subscriber = await subscribe({ url: `ws://127.0.0.1:${edge.port}/ws`, token, rooms: names })
say(`${events} events to ${rooms} rooms, ${kills} kills of ingest and of NATS`)

const beganAt = performance.now()
const publisher = startPublisher({ url: nats.url, events, rooms, limit: () => subscriber.count + ahead })
/** Resolves when so many events have arrived. */
const arrived = (count, withinMs) => until(`${count} events arrived`, () => subscriber.count >= count, withinMs)

async function activeBridge() {
  for (const bridge of bridges) if ((await bridge.metric('flotilla_ingest_source_active')) === 1) return bridge
  return undefined
}
async function killBridge() {
  const bridge = await until('an ingest process takes messages', activeBridge)
  bridge.signal('SIGKILL')
  bridges[bridges.indexOf(bridge)] = await start('ingest', bridge.id)
  return bridge.id
}
const done = { ingest: 0, nats: 0 }
for (let i = 0; i < 2 * kills; i += 1) {
  await arrived(Math.round(((i + 1) * events) / (2 * kills + 1)), arriveWithinMs)
  if (subscriber.count >= events) break
  const at = subscriber.count
  if (i % 2 === 0) {
    const id = await killBridge()
    done.ingest += 1
    say(`${id} killed when ${at} events had arrived`)
  } else {
    await nats.kill9()
    await nats.start()
    done.nats += 1
    say(`NATS killed when ${at} events had arrived`)
  }
}
await publisher.finished
await arrived(events, arriveWithinMs).catch(() => say('not everything has come: the rest is missing'))
const seconds = (performance.now() - beganAt) / 1_000
const { stream, deliveries } = await readStream(nats.url, source, events)

// The log of a room counts from 1: its last seq is how many events it ever had.
const heads = new Map()
for (const room of names) {
  const url = `http://127.0.0.1:${bridges[0].port}/v1/rooms/${encodeURIComponent(room)}/history?limit=1`
  const page = await fetch(url, { headers: { authorization: `Bearer ${key}` } }).then((response) => response.json())
  heads.set(room, page.last)
}
const result = judge({ stream, rooms: subscriber.rooms, heads })
const faults = Object.values(result.faults).reduce((sum, each) => sum + each, 0) + (result.events === events ? 0 : 1)
const killed = done.ingest === kills && done.nats === kills
const report = {
  ...result,
  kills: done,
  ingests,
  publishedAgain: publisher.again,
  deliveries,
  seconds: Number(seconds.toFixed(1)),
  eventsPerSecond: Math.round(events / seconds),
}
mkdirSync(dirname(args.out), { recursive: true })
writeFileSync(args.out, `${JSON.stringify(report, null, 2)}\n`)
say(JSON.stringify(report))
subscriber.close()
process.exit(faults === 0 && killed ? 0 : 1)
