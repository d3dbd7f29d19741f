// Many sockets in one process: WebSocket over raw sockets with as little work per frame as possible, so that the load
// costs less than what it measures. Frames are counted by their headers; only a few sockets look at the text, for the
// latency. Started by bench.mjs, asked over IPC.
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'

/** One socket in so many looks at its frames' text. */
const sampleEvery = 50
/** Connections that are made at once. */
const handshakes = 50
const clock = () => performance.timeOrigin + performance.now()
const stampMark = Buffer.from('"t":')
const eventMark = Buffer.from('{"type":"event"')
const okMark = Buffer.from('{"type":"ok"')

// One buffer for all sockets: each read is looked through before the next.
const shared = Buffer.allocUnsafe(262_144)
const opText = 0x1
const opPing = 0x9
const opClose = 0x8

let events = 0
let reads = 0
let closed = 0
let subscribed = 0
let samples = []

/** A client's frame. The mask is zero, which leaves the payload as it is. */
function frame(opcode, text) {
  const payload = Buffer.from(text)
  const header =
    payload.length < 126
      ? Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0])
      : Buffer.from([0x80 | opcode, 0xfe, payload.length >> 8, payload.length & 0xff, 0, 0, 0, 0])
  return Buffer.concat([header, payload])
}
const pong = frame(0xa, '')

/** Takes a stream of frames apart, wherever reads cut it. */
class Reader {
  constructor(socket, sampled) {
    this.socket = socket
    this.sampled = sampled
    this.skip = 0
    this.rest = null
  }

  take(read) {
    let data = read
    if (this.rest !== null) {
      data = Buffer.concat([this.rest, read])
      this.rest = null
    }
    let at = Math.min(this.skip, data.length)
    this.skip -= at
    while (at < data.length) {
      const size = headerSize(data, at)
      // Of a frame's first bytes so many are needed to tell what it is.
      if (size === 0 || data.length - at < Math.min(size + 16, size + payloadLength(data, at))) {
        this.rest = Buffer.from(data.subarray(at))
        return
      }
      const length = payloadLength(data, at)
      const end = at + size + length
      if (this.sampled && end > data.length) {
        this.rest = Buffer.from(data.subarray(at))
        return
      }
      this.see(data, { opcode: data[at] & 0x0f, from: at + size, end })
      at = Math.min(end, data.length)
      this.skip = end - at
    }
  }

  see(data, { opcode, from, end }) {
    if (opcode === opText) {
      if (starts(data, from, eventMark)) {
        events += 1
        if (this.sampled) sample(data.subarray(from, end))
      } else if (starts(data, from, okMark)) subscribed += 1
    } else if (opcode === opPing) this.socket.write(pong)
    else if (opcode === opClose) this.socket.destroy()
  }
}

function headerSize(data, at) {
  if (data.length - at < 2) return 0
  const short = data[at + 1] & 0x7f
  const size = short < 126 ? 2 : short === 126 ? 4 : 10
  return data.length - at < size ? 0 : size
}
function payloadLength(data, at) {
  const short = data[at + 1] & 0x7f
  if (short < 126) return short
  return short === 126 ? data.readUInt16BE(at + 2) : Number(data.readBigUInt64BE(at + 2))
}
function starts(data, from, mark) {
  for (let i = 0; i < mark.length; i += 1) if (data[from + i] !== mark[i]) return false
  return true
}
function sample(payload) {
  const at = payload.indexOf(stampMark)
  if (at >= 0) samples.push(clock() - Number.parseFloat(payload.toString('latin1', at + 4, at + 24)))
}

function open({ port, token, room }, index) {
  return new Promise((resolve, reject) => {
    let upgraded = false
    let head = ''
    let reader
    const onRead = (size) => {
      reads += 1
      const data = shared.subarray(0, size)
      if (upgraded) return reader.take(data)
      head += data.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      if (!head.startsWith('HTTP/1.1 101')) return reject(new Error(head.slice(0, 200)))
      upgraded = true
      reader = new Reader(socket, index % sampleEvery === 0)
      socket.write(frame(opText, JSON.stringify({ type: 'subscribe', id: 1, room })))
      const rest = Buffer.from(head.slice(end + 4), 'latin1')
      if (rest.length > 0) reader.take(rest)
      resolve(socket)
    }
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread: { buffer: shared, callback: onRead } })
    socket.once('connect', () => {
      const key = randomBytes(16).toString('base64')
      socket.write(
        `GET /ws?token=${token} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
          `Sec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`,
      )
    })
    socket.once('error', reject)
    socket.once('close', () => (closed += 1))
  })
}

/** Posts batches at a pace. An event carries the time at which it was due, however late it is posted. */
async function publish({ ingestPort, key, room, rate, seconds }) {
  const startedAt = clock()
  const total = Math.floor(rate * seconds)
  const posts = new Set()
  let [late, failed] = [0, 0]
  for (let sent = 0; sent < total;) {
    const due = Math.min(total, Math.floor(((clock() - startedAt) / 1_000) * rate))
    if (due > sent && posts.size < 64) {
      const batch = []
      for (; sent < due && batch.length < 500; sent += 1) {
        const t = startedAt + (sent / rate) * 1_000
        batch.push({ room, event: 'bench', data: { t, p: 'x'.repeat(64) } })
      }
      const post = fetch(`http://127.0.0.1:${ingestPort}/v1/events/batch`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ events: batch }),
      })
        .then((response) => response.json())
        .then(({ results }) => (failed += results.filter((each) => each.status !== 202).length))
        .catch(() => (failed += batch.length))
        .finally(() => posts.delete(post))
      posts.add(post)
    } else if (due > sent) late += 1
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  await Promise.all(posts)
  return { published: total, failed, late, seconds: (clock() - startedAt) / 1_000 }
}

const sockets = []
const calls = {
  open: async (message) => {
    for (let i = 0; i < message.count; i += handshakes) {
      const batch = Array.from({ length: Math.min(handshakes, message.count - i) }, (_, j) => open(message, i + j))
      sockets.push(...(await Promise.all(batch)))
    }
    const deadline = clock() + 20_000
    while (subscribed < message.count && clock() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
    return { subscribed }
  },
  reset: async () => {
    events = 0
    reads = 0
    samples = []
    return {}
  },
  publish,
  report: async () => {
    const { user, system } = process.cpuUsage()
    return { events, reads, closed, samples, cpu: (user + system) / 1e6 }
  },
}

process.on('message', async (message) => {
  process.send(await calls[message.call](message))
})
process.on('disconnect', () => process.exit(0))
