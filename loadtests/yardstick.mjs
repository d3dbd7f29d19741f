/**
 * The same small piece of work again and again, on the core of the servers: what it costs says how fast the machine is while
 * something is measured. Shared machines change by half within minutes, and by what their neighbours do, which no load
 * average shows. Started by the harness; tells over IPC what each round has cost.
 */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const everyMs = 200
/** What a server does: it parses, looks up, builds and encodes, and writes to sockets. */
const documents = 12
const sockets = 20
const warmUp = 100
const remembered = 2_000

const items = Array.from({ length: 40 }, (_, i) => ({
  room: `public:bench-${i}`,
  seq: i,
  data: { text: 'x'.repeat(40) },
}))
const text = JSON.stringify({ items })
const message = Buffer.alloc(200, 'x')
const known = new Map()
/** Told along with the rest, so that nothing of the work can be left out as unused. */
let chars = 0
let looked = 0

function compute(times) {
  for (let i = 0; i < times; i += 1) {
    const document = JSON.parse(text)
    for (const item of document.items) known.set(`${item.room}${(looked += 1) % remembered}`, item)
    chars += JSON.stringify(document).length
  }
}

async function pairs() {
  const receiver = { missing: 0, done: undefined }
  const server = createServer((socket) => {
    socket.on('data', (chunk) => {
      receiver.missing -= chunk.length
      if (receiver.missing === 0) receiver.done?.()
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const writers = []
  for (let i = 0; i < sockets; i += 1) {
    const socket = connect({ port: server.address().port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    writers.push(socket)
  }
  /** Writes to every socket, and resolves when all of it has come. */
  return () =>
    new Promise((resolve) => {
      Object.assign(receiver, { missing: message.length * sockets, done: resolve })
      for (const writer of writers) writer.write(message)
    })
}

const cpu = () => {
  const { user, system } = process.cpuUsage()
  return user + system
}

const transfer = await pairs()
for (let i = 0; i < warmUp; i += 1) {
  compute(documents)
  await transfer()
}
process.on('disconnect', () => process.exit(0))
// One round after the other: on a busy core one may take longer than the pause.
for (;;) {
  await sleep(everyMs)
  // Once uncounted: the servers have taken the caches meanwhile, and how much so is theirs, not the machine's.
  compute(documents / 4)
  await transfer()
  const before = cpu()
  compute(documents)
  await transfer()
  const microseconds = cpu() - before
  if (process.connected) process.send({ microseconds, chars })
}
