// Clients of the library that hear rooms through a rollout, and keep account. Started by the rollout demo, asked over IPC.
import { connect } from '@flotilla/client'
import { signRoomToken, signToken } from '@flotilla/node/jwt'
import Plain from 'ws'
import { answerCalls } from './harness/processes.mjs'
import { clock, latencies } from './harness/samples.mjs'
import { dialBy } from './rollout/dial.mjs'
import { openRooms, roomName } from './rollout/guard.mjs'
import { folded, nothingSeen } from './rollout/report.mjs'

/** Connections made at a time. */
const atOnce = 50
/** Shorter than a rollout: every client renews its token several times meanwhile. */
const tokenSeconds = 30
const clients = []
const views = []
let dial
/** Delays from when an event was due to its delivery: how many of each whole ms, the last for all beyond. */
const delays = new Uint32Array(60_001)
/** The same of each client. */
const ownDelays = new Map()
const seen = { disconnected: 0, told: 0, ended: 0, roomTokens: 0 }

async function join({ url, secret, room, name, WebSocket }) {
  const token = () => signToken({ secret, sub: name, tenant: 'demo', ttlSeconds: tokenSeconds })
  const client = await connect({ url, token, WebSocket, timeoutMs: 60_000, log: () => {} })
  client.onState((state) => {
    if (state === 'reconnecting' || state === 'closed') seen.disconnected += 1
  })
  const counts = { delivered: 0, duplicated: 0, disordered: 0, hash: nothingSeen }
  const view = { room, from: 0, last: 0, ...counts, worstMs: 0, p99Ms: 0 }
  const own = []
  ownDelays.set(view, own)
  const roomToken = () => {
    seen.roomTokens += 1
    return signRoomToken({ secret, sub: name, rooms: [room], ttlSeconds: tokenSeconds })
  }
  const subscription = await client.subscribe(room, {
    ...(room.startsWith('invited:') ? { token: roomToken } : {}),
    onEvent: ({ position, data }) => {
      if (position === undefined) return
      if (position.seq <= view.last) view.duplicated += 1
      else if (position.seq !== view.last + 1) view.disordered += 1
      view.last = Math.max(view.last, position.seq)
      view.delivered += 1
      view.hash = folded(view.hash, position.seq, data.t)
      const ms = Math.max(0, clock() - data.t)
      view.worstMs = Math.max(view.worstMs, ms)
      own.push(ms)
      delays[Math.min(delays.length - 1, Math.round(ms))] += 1
    },
    onPosition: ({ recovered }) => {
      if (!recovered) seen.told += 1
    },
  })
  subscription.onError(() => {
    seen.ended += 1
  })
  view.from = view.last = subscription.position.seq
  views.push(view)
  clients.push(client)
}

answerCalls({
  /** At `host` and `port`, or at the edges that `directory` names. */
  open: async ({ host = '127.0.0.1', port = 80, directory, secret, count, first, rooms, types = openRooms }) => {
    const url = `ws://${host}:${port}/ws`
    if (directory !== undefined) dial ??= await dialBy(directory)
    const { WebSocket } = dial ?? { WebSocket: Plain }
    for (let i = 0; i < count; i += atOnce) {
      const some = Array.from({ length: Math.min(atOnce, count - i) }, (_, j) => first + i + j)
      await Promise.all(
        some.map((n) => join({ url, secret, name: `user-${n}`, room: roomName(types, n % rooms), WebSocket })),
      )
    }
  },
  report: async () => {
    for (const [view, own] of ownDelays) view.p99Ms = latencies(own).p99Ms
    return {
      views,
      seen,
      openedAtMs: dial?.openedAtMs ?? [],
      delivered: views.reduce((sum, { delivered }) => sum + delivered, 0),
    }
  },
  delays: async () => ({ delays: Array.from(delays) }),
  /** All go away: what they saw until then. */
  leave: async () => {
    const report = { views: views.map((view) => ({ ...view, left: true })), seen: { ...seen } }
    for (const client of clients) client.close()
    return report
  },
})
