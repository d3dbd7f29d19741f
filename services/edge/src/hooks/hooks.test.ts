import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { parsePolicy } from '@flotilla/core/policy-file'
import type { PolicyFile } from '@flotilla/core/policy-file'
import type { Policy } from '@flotilla/core/policy'
import type { PolicySource } from '@flotilla/node/policy'
import { freePort } from '@flotilla/node/testing/free-port'
import { DEVELOPMENT_SECRET, signRoomToken } from '@flotilla/node/jwt'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Client, token, until, useReadyEdge } from '../../test/fleet.ts'
import { secretProblems } from './secrets.ts'

const secret = 'a-secret-of-more-than-16-characters'
const variable = 'FLOTILLA_TEST_HOOK_SECRET'

interface Asked {
  readonly path: string
  readonly body: { readonly hook: string; readonly room?: string; readonly user: { readonly id: string } }
  readonly text: string
  readonly headers: IncomingMessage['headers']
}
type Answer = (asked: Asked, response: ServerResponse) => void

let asked: Asked[] = []
let answer: Answer
const say =
  (value: unknown): Answer =>
  (_asked, response) =>
    void response.end(JSON.stringify(value))
const service = createServer((request, response) => {
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => parts.push(part))
  request.on('end', () => {
    const text = Buffer.concat(parts).toString('utf8')
    const one: Asked = {
      ...{ path: request.url ?? '', text, headers: request.headers },
      body: JSON.parse(text) as Asked['body'],
    }
    asked.push(one)
    answer(one, response)
  })
})
let url: string
const ready = useReadyEdge()

beforeAll(async () => {
  process.env[variable] = secret
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(service.address() as AddressInfo).port}`
})
afterAll(() => {
  service.closeAllConnections()
  service.close()
})
const clients: Client[] = []
afterEach(() => {
  for (const client of clients.splice(0)) client.socket.terminate()
  asked = []
})

const hookAt = (path: string, more: object = {}) => ({ url: `${url}${path}`, secret: { env: variable }, ...more })
type Hooks = NonNullable<PolicyFile['hooks']>
function policyOf(hooks: Hooks, types: PolicyFile['types'] = {}): Policy {
  const parsed = parsePolicy({ version: 1, hooks, types })
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'))
  return parsed.policy
}
const guarded: PolicyFile['types'] = { project: { join: [{ hook: 'members' }], publish: [{ hook: 'members' }] } }
const members = (more: object = {}): Policy => policyOf({ rooms: { members: hookAt('/members', more) } }, guarded)

/** An edge under a policy that the test may change. */
async function edgeUnder(first: Policy) {
  const listeners: ((policy: Policy) => void)[] = []
  let current = first
  const source: PolicySource = {
    get current() {
      return current
    },
    onChange: (listener) => void listeners.push(listener),
  }
  const edge = await ready.fleet.edge({ anonymous: true }, source)
  await until('a plan is there', () => edge.ready)
  return {
    open: async (sub = 'alice'): Promise<Client> => {
      const client = new Client(edge.port, { headers: { authorization: `Bearer ${token(sub)}` } })
      clients.push(client)
      await until('it is connected, or closed', () => client.of('connected').length > 0 || client.closed !== undefined)
      return client
    },
    nobody: async (): Promise<Client> => {
      const client = new Client(edge.port, { protocols: ['flotilla.v1', 'flotilla.anonymous'] })
      clients.push(client)
      await until('it is connected', () => client.of('connected').length > 0)
      return client
    },
    change: (policy: Policy) => {
      current = policy
      for (const listener of listeners) listener(policy)
    },
  }
}
const enter = (client: Client, room: string) => client.ask({ type: 'subscribe', room })

describe('a question', () => {
  it('[HK16] is a signed POST with who asks for what; edges ask once for all who ask the same, and remember the answer (RM3)', async () => {
    const edge = await edgeUnder(members())
    let release = (): void => {}
    answer = (one, response) => {
      release = () => say({ allow: true })(one, response)
    }
    const [first, second] = [await edge.open(), await edge.open()]
    const both = [enter(first, 'project:acme:7'), enter(second, 'project:acme:7')]
    await until('it is asked', () => asked.length > 0)
    release()
    expect(await Promise.all(both)).toMatchObject([{ type: 'ok' }, { type: 'ok' }])
    const third = await edge.open()
    expect(await enter(third, 'project:acme:7')).toMatchObject({ type: 'ok' })
    expect(asked).toHaveLength(1)
    const user = { id: 'alice', tenantId: 'acme', roles: [], permissions: [] }
    expect(asked[0]?.body).toEqual({ hook: 'members', action: 'join', room: 'project:acme:7', user })
    const [time, signature] = String(asked[0]?.headers['flotilla-signature']).split(',')
    const body = `${String(time).replace('t=', '')}.${asked[0]?.text}`
    expect(signature).toBe(`v1=${createHmac('sha256', secret).update(body).digest('hex')}`)
    answer = say({ allow: false })
    expect(await enter(await edge.open('bob'), 'project:acme:7')).toMatchObject({ code: 'FORBIDDEN' })
  })

  it('[HK17] whatever is no answer is no yes: a status, another form, too much, a redirect, silence, nobody there', async () => {
    const elsewhere: string[] = []
    const bad: Record<string, Answer> = {
      'a status': (_asked, response) => void response.writeHead(403).end('{"allow":true}'),
      'another form': say({ allow: 'yes' }),
      'no JSON': (_asked, response) => void response.end('allow'),
      'too much': say({ allow: true, more: 'x'.repeat(70_000) }),
      'a redirect': ({ path }, response) => {
        elsewhere.push(path)
        response.writeHead(307, { location: '/elsewhere' }).end()
      },
      silence: () => {},
      'a cut': (_asked, response) => void response.destroy(),
    }
    for (const [what, how] of Object.entries(bad)) {
      answer = how
      const edge = await edgeUnder(members({ timeout: 200 }))
      const reply = await enter(await edge.open(), 'project:acme:7')
      expect(reply, what).toMatchObject({ type: 'error', code: 'OVERLOADED', retryAfterMs: expect.any(Number) })
    }
    expect(elsewhere).toEqual(['/members'])
    const nobody = policyOf({ rooms: { members: { ...hookAt(''), url: 'http://127.0.0.1:1/' } } }, guarded)
    const edge = await edgeUnder(nobody)
    expect(await enter(await edge.open(), 'project:acme:7')).toMatchObject({ code: 'OVERLOADED' })
  })

  it('[HK18] so many are under way at a time; the others wait for their turn, and no longer than for an answer', async () => {
    const edge = await edgeUnder(members({ maxInFlight: 2, timeout: 500 }))
    const client = await edge.open()
    let [now, most] = [0, 0]
    answer = (one, response) => {
      most = Math.max(most, (now += 1))
      setImmediate(() => {
        now -= 1
        say({ allow: true })(one, response)
      })
    }
    const rooms = (from: number) => Array.from({ length: 20 }, (_, i) => ({ room: `project:acme:${from + i}` }))
    const reply = await client.ask({ type: 'resume', rooms: rooms(0) })
    expect(reply).toMatchObject({ type: 'ok' })
    expect(JSON.stringify(reply)).not.toContain('error')
    expect(most).toBe(2)
    answer = () => {}
    const startMs = performance.now()
    const late = await client.ask({ type: 'resume', rooms: rooms(100) })
    expect(JSON.stringify(late).match(/OVERLOADED/g)).toHaveLength(20)
    expect(performance.now() - startMs).toBeLessThan(5_000)
    expect(asked).toHaveLength(22)
  })

  it('[HK19] a service that fails again and again is left alone for a while', async () => {
    const edge = await edgeUnder(members())
    const client = await edge.open()
    answer = (_asked, response) => void response.writeHead(500).end()
    for (let i = 0; i < 8; i += 1)
      expect(await enter(client, `project:acme:${i}`)).toMatchObject({ code: 'OVERLOADED' })
    expect(asked).toHaveLength(5)
    answer = say({ allow: true })
    await until('it is asked again', async () => (await enter(client, 'project:acme:9')).type === 'ok')
  })

  it('[HK20] another policy is another service: nothing that the one before said counts', async () => {
    const edge = await edgeUnder(members())
    answer = say({ allow: true })
    const client = await edge.open()
    expect(await enter(client, 'project:acme:7')).toMatchObject({ type: 'ok' })
    answer = say({ allow: false })
    edge.change(policyOf({ rooms: { members: hookAt('/others') } }, guarded))
    await until('it is taken out', () => client.of('unsubscribed').length > 0)
    expect(client.of('unsubscribed')).toMatchObject([{ room: 'project:acme:7', code: 'FORBIDDEN' }])
    expect(asked.map(({ path }) => path)).toEqual(['/members', '/others'])
  })
})

describe('a connection', () => {
  it('[HK21] is told what the service has for its user, and is in the rooms that it names (CN6)', async () => {
    const edge = await edgeUnder(policyOf({ connect: hookAt('/connect') }, { project: { join: 'nobody' } }))
    answer = say({ allow: true, rooms: ['project:acme:7'], data: { plan: 'gold' } })
    const client = await edge.open()
    expect(client.of('connected')).toMatchObject([{ rooms: ['project:acme:7'], data: { plan: 'gold' } }])
    await until('it is live there', () => client.of('position').some(({ room }) => room === 'project:acme:7'))
    expect(asked[0]?.body).toMatchObject({ hook: 'connect', user: { id: 'alice', tenantId: 'acme' } })
    answer = say({ allow: false, reason: 'not paid' })
    const refused = await edge.open('bob')
    await until('it is closed', () => refused.closed !== undefined)
    expect(refused.closed?.code).toBe(4401)
    expect(refused.of('error')).toMatchObject([{ code: 'UNAUTHORIZED', message: 'not paid' }])
    answer = (_asked, response) => void response.writeHead(500).end()
    const later = await edge.open('carol')
    await until('it is closed', () => later.closed !== undefined)
    expect(later.closed?.code).toBe(1013)
  })
})

it('[HK27] a service that is asked is told that the connection is anonymous', async () => {
  const types: PolicyFile['types'] = { fair: { join: [{ hook: 'members', tenant: 'any', role: 'anonymous' }] } }
  const policy = policyOf({ connect: hookAt('/connect'), rooms: { members: hookAt('/members') } }, types)
  const edge = await edgeUnder(policy)
  answer = say({ allow: true })
  const client = await edge.nobody()
  expect(await enter(client, 'fair:acme:1')).toMatchObject({ type: 'ok' })
  const user = { id: client.of('connected')[0]?.userId, roles: ['anonymous'], permissions: [], anonymous: true }
  expect(asked.map(({ body }) => body.user)).toEqual([user, user])
})

describe('a call', () => {
  it('[HK22] has an answer, a refusal, or an outcome that nobody knows (CL2)', async () => {
    const calls = {
      billing: hookAt('/calls', { timeout: 300 }),
      gone: { ...hookAt(''), url: `http://127.0.0.1:${await freePort()}/` },
    }
    const edge = await edgeUnder(policyOf({ calls }))
    const client = await edge.open()
    let count = 0
    const call = async (method: string) => {
      const id = `call-${(count += 1)}`
      client.send({ type: 'call', id, method, params: { no: 7 } })
      const found = () => [...client.of('result'), ...client.of('error')].find((frame) => frame.id === id)
      await until('it is answered', () => found() !== undefined)
      return found()
    }
    answer = say({ result: { total: 12 } })
    expect(await call('billing.total')).toMatchObject({ type: 'result', data: { total: 12 } })
    const [{ connectionId } = { connectionId: '' }] = client.of('connected')
    expect(asked[0]?.body).toMatchObject({
      ...{ hook: 'call', method: 'billing.total', params: { no: 7 }, connectionId, user: { id: 'alice' } },
      id: expect.stringContaining(connectionId),
    })
    answer = say({ error: { code: 'NO_FUNDS', message: 'empty' } })
    expect(await call('billing.pay')).toMatchObject({ code: 'CALL_REFUSED', reason: 'NO_FUNDS', message: 'empty' })
    answer = () => {}
    expect(await call('billing.pay')).toMatchObject({ code: 'UNKNOWN' })
    expect(await call('gone.pay')).toMatchObject({ code: 'OVERLOADED' })
    expect(await call('nobody.pay')).toMatchObject({ code: 'UNKNOWN_METHOD' })
  })
})

describe('a secret', () => {
  it('[HK23] that is not there, or short, is told by its place, and never shown', () => {
    const hooks = { rooms: { members: { ...hookAt('/'), secret: { env: 'FLOTILLA_TEST_NOT_SET' } } } }
    const problem = 'hooks.rooms.members.secret: the variable FLOTILLA_TEST_NOT_SET is not set'
    expect(secretProblems(policyOf(hooks))).toEqual([problem])
    process.env['FLOTILLA_TEST_SHORT'] = 'short'
    const short = { connect: { ...hookAt('/'), secret: { env: 'FLOTILLA_TEST_SHORT' } } }
    const found = secretProblems(policyOf(short))
    expect(found).toEqual(['hooks.connect.secret: a secret has at least 16 characters'])
    expect(secretProblems(members())).toEqual([])
  })
})

describe('a token for a room', () => {
  it('[RT5] opens the room to a connection, and only to that of its user (RM3)', async () => {
    const edge = await edgeUnder(policyOf({}, { project: { join: [{ token: true }] } }))
    const room = 'project:acme:7'
    const good = signRoomToken({ secret: DEVELOPMENT_SECRET, sub: 'alice', rooms: [room], ttlSeconds: 60 })
    const client = await edge.open()
    expect(await client.ask({ type: 'subscribe', room, token: good })).toMatchObject({ type: 'ok', room })
    expect(await client.ask({ type: 'subscribe', room: 'project:acme:8', token: good })).toMatchObject({
      code: 'FORBIDDEN',
    })
    const other = await edge.open('bob')
    expect(await other.ask({ type: 'subscribe', room, token: good })).toMatchObject({ code: 'FORBIDDEN' })
    expect(await other.ask({ type: 'subscribe', room, token: token('bob') })).toMatchObject({ code: 'FORBIDDEN' })
  })
})
