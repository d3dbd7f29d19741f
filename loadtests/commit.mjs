/**
 * What a commit costs: one lane, its rooms spread over 32 slots, 64 messages a commit, 3 outboxes, two commits in flight,
 * through the Redis store. Prints one JSON line. Needs `npm run build` and redis-server on the path.
 * Settings: SECONDS, MESSAGES (per commit), SLOTS, ROOMS, OUTBOXES, FLIGHTS, BYTES (of a message's tail).
 */
import { formatSlotValue, parseSlotValue, slotPrefix } from '@flotilla/core/commit'
import { encodeLog, encodeLogMessage } from '@flotilla/core/entry'
import { slotOf } from '@flotilla/core/slot'
import { createLog } from '@flotilla/node/log'
import { createRedisStore } from '@flotilla/node/store/redis/store'
import { startRedis } from '@flotilla/node/testing/redis-server'

const setting = (name, value) => Number(process.env[name] ?? value)
const seconds = setting('SECONDS', 5)
const perCommit = setting('MESSAGES', 64)
const slots = setting('SLOTS', 32)
const roomCount = setting('ROOMS', 10_000)
const outboxes = setting('OUTBOXES', 3)
const flights = setting('FLIGHTS', 2)
const tail = `"event":"e","data":"${'x'.repeat(setting('BYTES', 130))}"`

const server = await startRedis()
const log = createLog({ service: 'commit', level: 'error' })
const store = await createRedisStore({ urls: [server.url], slots, lanes: 1, log })
const boots = Array.from({ length: outboxes }, (_, i) => `edge-${i}#boot`)
for (const boot of boots) await store.outboxes.open(0, boot)
const values = []
for (let slot = 0; slot < slots; slot += 1) {
  const reply = await store.slots.claim({ slot, epoch: 1, owner: 'shard-1#boot', confirmed: 0, boots: [] })
  values.push(parseSlotValue(reply.value))
}
const rooms = Array.from({ length: roomCount }, (_, i) => ({
  name: `public:room-${i}`,
  slot: slotOf(`public:room-${i}`, slots),
  head: 0,
}))

let made = 0
/** As the worker composes it: one log entry per room, what the three edges are told, the slots' values. */
function compose() {
  const bySlot = new Map()
  for (let i = 0; i < perCommit; i += 1) {
    const room = rooms[Math.floor(Math.random() * rooms.length)]
    const ofSlot = bySlot.get(room.slot) ?? new Map()
    bySlot.set(room.slot, ofSlot.set(room, (ofSlot.get(room) ?? 0) + 1))
  }
  return [...bySlot].map(([slot, ofSlot]) => {
    const before = values[slot]
    const value = {
      ...before,
      n: before.n + 1,
      token: `t${before.n}`,
      cursor: `${before.n}-0`,
      marks: new Map([['edge-0#boot', { generation: 1, k: before.n }]]),
    }
    values[slot] = value
    const logs = []
    for (const [room, count] of ofSlot) {
      const first = room.head + 1
      room.head += count
      const messages = Array.from({ length: count }, () =>
        encodeLogMessage({ sender: 'alice', key: `key-${(made += 1)}`, options: '', tail }),
      )
      logs.push({
        room: room.name,
        lastSeq: room.head,
        body: encodeLog(room.name, { inc: 1, tag: 1, first, timeMs: Date.now() }, messages),
        keepFromSeq: 0,
      })
    }
    const out = { records: '', logs: logs.map((_, i) => i) }
    return {
      slot,
      expect: slotPrefix(before),
      value: formatSlotValue(value),
      logs,
      outs: new Map(boots.map((boot) => [boot, out])),
      interest: [],
    }
  })
}

async function serverCpu() {
  const info = String(await server.call('INFO', 'cpu'))
  return Number(/used_cpu_sys:([\d.]+)/.exec(info)[1]) + Number(/used_cpu_user:([\d.]+)/.exec(info)[1])
}

async function run(forMs) {
  const [redis, node, started] = [await serverCpu(), process.cpuUsage(), performance.now()]
  const inFlight = []
  let messages = 0
  let commits = 0
  let lastTrim = started
  while (performance.now() - started < forMs) {
    inFlight.push(store.slots.commit(0, compose()))
    messages += perCommit
    commits += 1
    if (inFlight.length >= flights) check(await inFlight.shift())
    if (performance.now() - lastTrim > 100) {
      lastTrim = performance.now()
      for (const boot of boots) void store.outboxes.trim(0, boot, `1-${Math.max(0, commits - 200)}`)
    }
  }
  for (const reply of await Promise.all(inFlight)) check(reply)
  const took = (performance.now() - started) / 1_000
  const used = process.cpuUsage(node)
  return {
    perCommit,
    slots,
    rooms: roomCount,
    outboxes,
    flights,
    messagesPerSecond: Math.round(messages / took),
    redisUsPerMessage: Number(((((await serverCpu()) - redis) * 1e6) / messages).toFixed(2)),
    nodeUsPerMessage: Number(((used.user + used.system) / messages).toFixed(2)),
    commitMs: Number(((took * 1_000) / commits).toFixed(3)),
  }
}

function check(reply) {
  if (reply.statuses.some((status) => status !== 'ok') || reply.missing.length > 0)
    throw new Error(JSON.stringify(reply))
}

/** What composing alone costs: it is the worker's part, and in `nodeUsPerMessage`. */
function composeUs() {
  const [keptValues, keptHeads, commits] = [[...values], rooms.map((room) => room.head), 2_000]
  const before = process.cpuUsage()
  for (let i = 0; i < commits; i += 1) compose()
  const used = process.cpuUsage(before)
  values.splice(0, values.length, ...keptValues)
  rooms.forEach((room, i) => (room.head = keptHeads[i]))
  return Number(((used.user + used.system) / (commits * perCommit)).toFixed(2))
}

await run(1_000)
const composeUsPerMessage = composeUs()
console.log(JSON.stringify({ ...(await run(seconds * 1_000)), composeUsPerMessage }))
await store.close()
await server.close()
