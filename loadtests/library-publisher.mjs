// Publishes through the client library, over a WebSocket per client. Started by the benchmark, asked over IPC.
import { connect } from '@flotilla/client'
import { signToken } from '@flotilla/node/jwt'
import WebSocket from 'ws'
import { answerCalls, sleep } from './harness/processes.mjs'
import { clock } from './harness/samples.mjs'

const padding = 'x'.repeat(64)
let clients = []
/** Counts up over all runs: the readers check that they see it grow. */
let count = 0

/** Publishes one event; a refusal or an unknown outcome ends the run, there is no reason for one. */
async function publish(i, { rooms, accepted, t }) {
  const room = i % rooms
  // A room always goes over the same client, as `rooms` is a multiple of their number.
  await clients[room % clients.length].publish(`public:bench-${room}`, 'bench', { t, n: count + i, p: padding })
  accepted[room] += 1
}

async function paced({ rate, seconds, rooms, accepted }) {
  const startedAt = clock()
  const total = Math.max(1, Math.round((rate * seconds) / rooms)) * rooms
  const all = []
  while (all.length < total) {
    const due = Math.min(total, Math.floor(((clock() - startedAt) / 1_000) * rate))
    while (all.length < due)
      all.push(publish(all.length, { rooms, accepted, t: startedAt + (all.length / rate) * 1_000 }))
    await sleep(1)
  }
  await Promise.all(all)
}

/** `inFlight`: publishes of one client that wait for their answer. */
async function saturated({ seconds, rooms, accepted, inFlight }) {
  const endAt = clock() + seconds * 1_000
  let next = 0
  const one = async () => {
    while (clock() < endAt) await publish(next++, { rooms, accepted, t: clock() })
  }
  await Promise.all(Array.from({ length: clients.length * inFlight }, one))
}

const calls = {
  open: async ({ port, secret, count }) => {
    const url = `ws://127.0.0.1:${port}/ws`
    clients = await Promise.all(
      Array.from({ length: count }, (_, i) => {
        const token = signToken({ secret, sub: `publisher-${i}`, tenant: 'bench', ttlSeconds: 3_600 })
        return connect({ url, token, WebSocket, queue: { maxItems: 100_000, maxBytes: 100_000_000 } })
      }),
    )
  },
  publish: async ({ rooms, rate, seconds, inFlight }) => {
    const startedAt = clock()
    const accepted = Array.from({ length: rooms }, () => 0)
    await (rate === null
      ? saturated({ seconds, rooms, accepted, inFlight })
      : paced({ rate, seconds, rooms, accepted }))
    count += accepted.reduce((sum, each) => sum + each, 0)
    return { accepted, refused: 0, unknown: 0, seconds: (clock() - startedAt) / 1_000 }
  },
}
answerCalls(calls)
