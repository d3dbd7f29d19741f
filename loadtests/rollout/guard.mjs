/**
 * Rooms that not everybody may join, and the service that is asked about some of them: a third of the rooms is open, a third needs its word, a
 * third a token.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { resolve } from 'node:path'

export const openRooms = ['public']
export const guardedRooms = ['public', 'project', 'invited']
export const roomName = (types, n) => `${types[n % types.length]}:demo-${n}`

const secret = 'demo-hook-secret-0123456789'
/** What a service that looks into its database takes, ms. */
const answerMs = 5

/** Who hears room n is n plus a multiple of the number of rooms. */
export async function startGuard(rooms) {
  const asked = { questions: 0, denied: 0 }
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const part of request) text += part
    const { room, user } = JSON.parse(text)
    const allow = Number(user.id.split('-')[1]) % rooms === Number(room.split('-')[1])
    asked.questions += 1
    if (!allow) asked.denied += 1
    setTimeout(() => response.end(JSON.stringify({ allow })), answerMs)
  })
  await new Promise((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address()
  const policy = {
    version: 1,
    connect: ['user:{user}'],
    types: {
      user: { form: 'id', join: [{ id: 'user' }] },
      public: { form: 'id', join: 'everyone' },
      project: { form: 'id', join: [{ hook: 'members' }] },
      invited: { form: 'id', join: [{ token: true }] },
    },
    hooks: { rooms: { members: { url: `http://127.0.0.1:${port}/members`, secret: { env: 'DEMO_HOOK_SECRET' } } } },
  }
  mkdirSync('out', { recursive: true })
  const path = resolve('out/rollout-policy.json')
  writeFileSync(path, JSON.stringify(policy, null, 2))
  return {
    asked,
    env: { FLOTILLA_POLICY_FILE: path, DEMO_HOOK_SECRET: secret },
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}
