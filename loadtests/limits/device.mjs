// One connection of a user, and what became of it.
import { signToken } from '@flotilla/node/jwt'
import { WebSocket } from 'ws'
import { secret } from '../harness/fleet.mjs'

/** Where the fleet cannot say now, a client comes again; so often at the most. */
const maxTries = 30

function once({ port, token }) {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers: { authorization: `Bearer ${token}` } })
    const device = { socket, codes: [], closedAtMs: null, closeCode: null }
    socket.on('message', (data) => {
      const frame = JSON.parse(data.toString('utf8'))
      if (frame.type === 'error') device.codes.push(frame.code)
      if (frame.type === 'connected') resolve({ ...device, outcome: 'in', device })
    })
    socket.on('error', () => {})
    socket.on('close', (code) => {
      device.closedAtMs = performance.now()
      device.closeCode = code
      resolve({ ...device, outcome: code === 1013 || code === 1006 ? 'later' : code, device })
    })
  })
}

/** Comes until it is in, or refused: `{ outcome: 'in' | close code, device }`. */
export async function come({ port, user }) {
  const token = signToken({ secret, sub: user, tenant: 'limits', ttlSeconds: 3_600 })
  for (let tries = 1; ; tries += 1) {
    const came = await once({ port, token })
    if (came.outcome !== 'later') return came
    if (tries >= maxTries) throw new Error(`${user} was neither let in nor refused in ${tries} tries`)
    await new Promise((resolve) => setTimeout(resolve, 200 + Math.random() * 300))
  }
}

/** Resolves when it is closed. */
export async function leave({ device }) {
  if (device.closedAtMs !== null) return
  await new Promise((resolve) => {
    device.socket.once('close', resolve)
    device.socket.close()
  })
}
