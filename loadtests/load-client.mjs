/**
 * Many sockets in one process, each subscribed to one room. All of them count events; a sample of them reads the frames,
 * for the latency and to check that numbers have no hole, no repeat, and come in the publisher's order. Started by the
 * benchmark, asked over IPC.
 */
import { createHmac } from 'node:crypto'
import { answerCalls, sleep, until } from './harness/processes.mjs'
import { clock } from './harness/samples.mjs'
import { kinds, openWebSocket, textFrame } from './harness/websocket.mjs'

/** Faults that are kept: one says enough. */
const maxFaults = 20
/** Time for the server to answer what was asked of it, ms. */
const answerMs = 60_000
/** Before a client that was turned away comes again: the client library's back-off, ms, doubled with each time. */
const firstBackoffMs = 500
const maxBackoffMs = 30_000
/** So often cursors are moved that are due, ms. */
const handTickMs = 2
/** A token outlives every run. */
const tokenSeconds = 86_400

let events = 0
let answered = 0
let closed = 0
let lives = 0
let hands
let samples = []
const faults = []
const peers = []
let tokens = []

const base64url = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
const tokenHead = base64url({ alg: 'HS256', typ: 'JWT' })

/** A JWT, made by hand: the library takes half a millisecond for each, and there are thousands. */
function signToken(secret, sub) {
  const now = Math.floor(Date.now() / 1_000)
  const signed = `${tokenHead}.${base64url({ sub, tenantId: 'bench', iat: now, exp: now + tokenSeconds })}`
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`
}

function fault(text) {
  if (faults.length < maxFaults) faults.push(text)
}

/** From one address the kernel looks the longer for a free port the more were used within a minute. */
const perAddress = 500
const addressOf = (address, i, life = 0) => {
  const [net, , ...host] = address.split('.')
  return [net, life * 100 + Math.floor(i / perAddress), ...host].join('.')
}

/** One connection with one room. */
class Peer {
  socket = undefined
  events = 0
  /** The number and the publisher's own count of the last event, for those that read. */
  seq = null
  count = -1
  epoch = ''
  leaving = false

  constructor({ room, token, localAddress, attentive, filter }) {
    Object.assign(this, { room, token, localAddress, attentive, filter })
  }

  async connect(port, first, returns = false) {
    this.leaving = false
    const { token, localAddress } = this
    const options = { port, token, localAddress, first: textFrame(JSON.stringify(first)), returns }
    this.socket = await openWebSocket(options, this)
  }

  /** As `connect`, but says false where a client would come again: turned away, or given up on. */
  async tryConnect(port, first) {
    try {
      await this.connect(port, first, true)
      return true
    } catch (error) {
      if (!/^HTTP\/1.1 (408|503)|^closed before|ECONNRESET/.test(error.message)) throw error
      return false
    }
  }

  send(frame) {
    this.socket.write(textFrame(JSON.stringify(frame)))
  }

  kind(pair) {
    if (pair === kinds.event) {
      this.events += 1
      events += 1
    } else if (pair === kinds.ok) answered += 1
    else if (pair === kinds.error) fault(`${this.room}: answered with an error`)
  }

  text(text) {
    const frame = JSON.parse(text)
    if (frame.type === 'event') this.#event(frame)
    else if (frame.type === 'ok') this.#place(frame.rooms?.[0] ?? frame)
    else if (frame.type === 'error') fault(text)
    else if (frame.type === 'position' && frame.room === this.room && !frame.recovered) fault(`${this.room}: ${text}`)
  }

  #place(answer) {
    // That of an unsubscribe says nothing of a place.
    if (answer.position === undefined && answer.error === undefined) return
    if (answer.error !== undefined || answer.recovered === false) return fault(JSON.stringify(answer))
    const from = answer.position.seq - answer.missed
    // One that resumes must get everything after what it has.
    if (this.seq !== null && from !== this.seq) fault(`${this.room}: resumed from ${from} instead of ${this.seq}`)
    this.epoch = answer.position.epoch
    this.seq = from
    this.count = -1
  }

  #event({ room, seq, data }) {
    // A cursor.
    if (seq === undefined) return void samples.push(clock() - data.t)
    if (seq !== this.seq + 1) fault(`${room}: ${seq} came after ${this.seq}`)
    if (data.n <= this.count) fault(`${room}: the publisher's ${data.n} came after its ${this.count}`)
    this.seq = seq
    this.count = data.n
    samples.push(clock() - data.t)
  }

  ended(reason) {
    if (!this.leaving) fault(`${this.room}: closed by the server: ${reason}`)
  }
  closed() {
    // One that never came up was turned away, and comes again.
    if (!this.leaving && this.socket !== undefined) closed += 1
    this.socket = undefined
  }

  leave() {
    this.leaving = true
    this.socket?.destroy()
  }
}

/** All move their cursors in turn, evenly over time. */
function moveCursors({ perSecond, conflate }) {
  const startedAt = clock()
  const rest = { ephemeral: true, echo: false, ...(conflate === '' ? {} : { conflate }) }
  let sent = 0
  const timer = setInterval(() => {
    for (const due = ((clock() - startedAt) / 1_000) * perSecond * peers.length; sent < due; sent += 1) {
      const peer = peers[sent % peers.length]
      const data = { t: clock(), x: sent % 1_920, y: sent % 1_080 }
      peer.send({ type: 'publish', id: 9, room: peer.room, event: 'cursor.move', data, ...rest })
    }
  }, handTickMs)
  return () => {
    clearInterval(timer)
    return { sent }
  }
}

/** So many at a time, each as soon as one before is done. */
async function inParallel(list, width, run) {
  let next = 0
  const one = async () => {
    while (next < list.length) await run(list[next++])
  }
  await Promise.all(Array.from({ length: width }, one))
}

const calls = {
  /** Tokens are signed before anything is measured. */
  prepare: ({ secret, count, first, users }) => {
    tokens = Array.from({ length: count }, (_, i) => signToken(secret, users === 'one' ? 'u' : `u${first + i}`))
  },
  /** Connects one peer per token to rooms in turn; resolves when all are subscribed. */
  open: async ({ port, prefix = 'public:bench', rooms, first, localAddress, sampleEvery, atOnce, filters = 0 }) => {
    answered = 0
    const fresh = tokens.map((token, i) => {
      const room = `${prefix}-${(first + i) % rooms}`
      const attentive = i % sampleEvery === 0
      // The padding of the publisher's events, or what none of them has.
      const filter = filters === 0 ? undefined : { p: ['x'.repeat(64), `other ${i % filters}`] }
      return new Peer({ room, token, localAddress: addressOf(localAddress, i), attentive, filter })
    })
    peers.push(...fresh)
    await inParallel(fresh, atOnce, (peer) => {
      const { room, filter } = peer
      return peer.connect(port, { type: 'subscribe', id: 1, room, filter })
    })
    await until('every subscription is answered', () => answered + faults.length >= fresh.length, answerMs)
  },
  /** Everybody leaves the room and subscribes to the one of the same number under another prefix. */
  move: async ({ prefix, rooms, first }) => {
    answered = 0
    peers.forEach((peer, i) => {
      const from = peer.room
      peer.room = `${prefix}-${(first + i) % rooms}`
      peer.seq = null
      peer.send({ type: 'unsubscribe', id: 3, room: from })
      peer.send({ type: 'subscribe', id: 4, room: peer.room, filter: peer.filter })
    })
    await until('every subscription is answered', () => answered + faults.length >= 2 * peers.length, answerMs)
  },
  /** Ends all connections without a word, as a network does. */
  drop: async () => {
    for (const peer of peers) peer.leave()
    await until('every socket is closed', () => peers.every(({ socket }) => socket === undefined))
  },
  /** Connects all again at once, each with its position; resolves when each is told where it stands. */
  resume: async ({ port }) => {
    answered = 0
    events = 0
    let again = 0
    lives += 1
    peers.forEach((peer, i) => (peer.localAddress = addressOf(peer.localAddress, i, lives % 2)))
    await inParallel(peers, peers.length, async (peer) => {
      const since = { epoch: peer.epoch, seq: peer.seq }
      const first = { type: 'resume', id: 2, rooms: [{ room: peer.room, since }] }
      for (let attempt = 0; !(await peer.tryConnect(port, first)); attempt += 1) {
        again += 1
        await sleep(Math.random() * Math.min(maxBackoffMs, firstBackoffMs * 2 ** attempt))
      }
    })
    await until('every client is answered', () => faults.length > 0 || answered >= peers.length, answerMs)
    return { again }
  },
  moveCursors: (message) => {
    hands = moveCursors(message)
  },
  restCursors: () => {
    const rested = hands?.() ?? { sent: 0 }
    hands = undefined
    return rested
  },
  /** Every second client of a room takes a position of so many events ago. */
  forget: ({ back, rooms }) => {
    const further = peers.filter((_, i) => Math.floor(i / rooms) % 2 === 0)
    for (const peer of further) peer.seq -= back
    return { missed: further.length * back }
  },
  reset: () => {
    events = 0
    samples = []
    for (const peer of peers) peer.events = 0
  },
  report: () => ({ events, closed, faults }),
  /** The latencies since the last look. */
  samples: () => {
    const seen = samples
    samples = []
    return { samples: seen }
  },
  /** Of each room the fewest and the most events that a connection got, and the latencies. */
  verify: () => {
    const rooms = new Map()
    for (const { room, events: got } of peers) {
      const [least, most] = rooms.get(room) ?? [got, got]
      rooms.set(room, [Math.min(least, got), Math.max(most, got)])
    }
    return { rooms: [...rooms], samples, faults, closed }
  },
  positions: () => ({ positions: peers.map(({ room, seq }) => `${room} ${seq}`) }),
}
answerCalls(calls)
