// A connection that subscribes to rooms with presence, and comes back over another edge when its own is gone.
import { signToken } from '@flotilla/node/jwt'
import { WebSocket } from 'ws'
import { secret } from '../harness/fleet.mjs'

/** How long a client takes to come back, ms. */
const backAfterMs = 300

/** `returns: false`: it ends with its edge. `onPresence` is called with every frame. Resolves when it is subscribed. */
export function open({ ports, user, room, watches = false, returns = true, onPresence = () => {} }) {
  const token = signToken({ secret, sub: user, tenant: 'people', ttlSeconds: 3_600 })
  const member = { user, ports, ended: false, connections: 0, socket: null, close: () => {} }
  return new Promise((resolve) => {
    const dial = () => {
      const port = ports[member.connections % ports.length]
      member.connections += 1
      const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers: { authorization: `Bearer ${token}` } })
      member.socket = socket
      socket.on('message', (data) => {
        const frame = JSON.parse(data.toString('utf8'))
        if (frame.type === 'connected') {
          const ask = { type: 'subscribe', id: 1, room, ...(watches ? { presence: true } : {}) }
          socket.send(JSON.stringify(ask))
        } else if (frame.type === 'ok' && frame.id === 1) resolve(member)
        else if (frame.type === 'error' && frame.retryAfterMs !== undefined) socket.close()
        else if (frame.type === 'presence') onPresence(frame, performance.now())
      })
      socket.on('error', () => {})
      socket.on('close', () => {
        if (member.ended) return
        if (returns) setTimeout(dial, backAfterMs)
        else member.ended = true
      })
    }
    member.close = () => {
      member.ended = true
      member.socket.close()
    }
    dial()
  })
}

/** What somebody who watches a room knows: who is there, and everybody who was said to have come or left since it was told of all. */
export function watch() {
  const seen = { users: new Set(), lists: 0, joined: [], left: [] }
  return {
    ...{ seen },
    onPresence: ({ members, joined = [], left = [] }, atMs) => {
      if (members !== undefined) {
        const now = new Set(members.map(({ userId }) => userId))
        if (seen.lists > 0) {
          for (const user of now) if (!seen.users.has(user)) seen.joined.push({ user, atMs })
          for (const user of seen.users) if (!now.has(user)) seen.left.push({ user, atMs })
        }
        seen.lists += 1
        seen.users = now
      }
      for (const { userId } of joined) {
        seen.users.add(userId)
        seen.joined.push({ user: userId, atMs })
      }
      for (const { userId } of left) {
        seen.users.delete(userId)
        seen.left.push({ user: userId, atMs })
      }
    },
  }
}
