import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { WebSocket } from 'ws'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startEdge } from '@flotilla/edge/edge'
import type { Edge } from '@flotilla/edge/edge'
import { tokenPlaces } from '@flotilla/edge/token-places'
import { createVerifier } from '@flotilla/node/jwt'
import type { KeySource, Verifier } from '@flotilla/node/jwt'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { createScope } from '@flotilla/node/scope'
import { createMemoryStore } from '@flotilla/node/store/memory'
import { attacksOnClaims, controls } from './hostile/attacks-on-claims.ts'
import { attacksOnSignatures, mirrored } from './hostile/attacks-on-signatures.ts'
import { audience, forge, goodClaims, issuer, own, pemOf, publishedKeys, secret, ways } from './hostile/keys.ts'

const groups = { ...attacksOnSignatures, ...attacksOnClaims }
const attacks = Object.values(groups).flat()
const log = createLog({ service: 'test', level: 'silent' })
const scope = createScope(log)
const verifiers: Record<string, Verifier> = {}
const edges: Record<string, Edge> = {}
let issuerServer: Server
let fetches = 0

function verifierOf(keys: KeySource): Verifier {
  return createVerifier({ keys, log, issuers: [issuer], audiences: [audience] })
}

async function startOne(memberId: string, verifier: Verifier): Promise<Edge> {
  const noLimits = { connectionsPerUser: 0, connectionsPerTenant: 0, idleMs: 0 }
  const limits = { maxSubscriptions: 10, maxPublishesInFlight: 10, framesPerSecond: 100, ...noLimits }
  const paces = {
    maxConnections: 10_000,
    tokenFrom: tokenPlaces,
    anonymous: false,
    connectionsPerAddress: 0,
    acceptsPerSecond: 100_000,
    resumesPerSecond: 100_000,
  }
  const drain = { timeoutMs: 0, settleMs: 0, graceMs: 0, perSecond: 1 }
  return startEdge(
    { ...paces, memberId, version: '0', host: '127.0.0.1', port: 0, origins: [], connectionAgeMs: 0, limits, drain },
    {
      store: createMemoryStore({ slots: 4, lanes: 1 }),
      log,
      scope,
      metrics: createMetrics({ service: memberId }),
      verifier,
    },
  )
}

beforeAll(async () => {
  issuerServer = createServer((_, response) => {
    fetches += 1
    response.end(publishedKeys)
  }).listen(0, '127.0.0.1')
  await once(issuerServer, 'listening')
  const address = issuerServer.address()
  const url = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/jwks`
  verifiers['secret'] = verifierOf({ type: 'secret', secrets: [secret] })
  const pems = (['rsa', 'ec', 'ed'] as const).map((kid) => ({ kid, pem: pemOf(own[kid]) }))
  verifiers['pem'] = verifierOf({ type: 'pem', keys: pems })
  verifiers['jwks'] = verifierOf({ type: 'jwks', url })
  for (const name of ['secret', 'jwks']) edges[name] = await startOne(`edge-${name}`, of(verifiers, name))
})
afterAll(async () => {
  await scope.close()
  issuerServer.closeAllConnections()
  issuerServer.close()
})

function of<T>(record: Readonly<Record<string, T>>, name: string): T {
  const found = record[name]
  if (found === undefined) throw new Error(`no ${name}`)
  return found
}

/** Whom the verifiers take it for: nobody. */
async function acceptedBy(token: string): Promise<string[]> {
  const accepted: string[] = []
  for (const [name, { verify }] of Object.entries(verifiers)) if ((await verify(token)).ok) accepted.push(name)
  return accepted
}

/** Spaces at the ends of a header's value are none of it, and a line break ends it. */
const isHeaderText = (token: string): boolean => /^[\u0021-\u007e]([\u0020-\u007e]*[\u0021-\u007e])?$/.test(token)

/** How a token can be brought: each opens a socket, or says that it cannot carry it. */
const carriers = {
  subprotocol: (url: string, token: string) =>
    new WebSocket(url, ['flotilla.v1', `flotilla.token.${Buffer.from(token).toString('base64url')}`]),
  header: (url: string, token: string) =>
    isHeaderText(token) ? new WebSocket(url, { headers: { authorization: `Bearer ${token}` } }) : undefined,
  query: (url: string, token: string) => new WebSocket(`${url}?token=${encodeURIComponent(token)}`),
  'first frame': (url: string, token: string) => {
    const socket = new WebSocket(url)
    return socket.on('open', () => socket.send(JSON.stringify({ type: 'auth', id: 1, token })))
  },
}
type Carrier = keyof typeof carriers
const carrierNames = Object.keys(carriers) as Carrier[]

/** What the edge first answers: `connected`, the code of its error, or the status of a handshake that it did not take. */
async function answerTo(edge: Edge, carrier: Carrier, token: string): Promise<string> {
  const socket = carriers[carrier](`ws://127.0.0.1:${edge.port}/ws`, token)
  if (socket === undefined) return 'cannot travel so'
  const answer = await new Promise<string>((resolve) => {
    socket.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as { type: string; code?: string }
      resolve(frame.code ?? frame.type)
    })
    socket.on('close', (code) => resolve(`closed ${code}`))
    socket.on('error', (error) => resolve(error.message))
  })
  socket.terminate()
  return answer
}

describe('tokens of attackers', () => {
  it('[FZ7] are of 40 kinds or more, each of its own name', () => {
    expect(attacks.length).toBeGreaterThanOrEqual(40)
    expect(new Set(attacks.map(({ name }) => name)).size).toBe(attacks.length)
    for (const { name, tokens } of attacks) expect(tokens().length, name).toBeGreaterThan(0)
  })

  it.each(controls())('[FZ7] the control: a good %s token is accepted, whichever way it comes', async (alg, token) => {
    const isSecret = alg === 'HS256'
    expect(await acceptedBy(token)).toEqual(isSecret ? ['secret'] : ['pem', 'jwks'])
    const edge = of(edges, isSecret ? 'secret' : 'jwks')
    for (const carrier of carrierNames)
      expect([carrier, await answerTo(edge, carrier, token)]).toEqual([carrier, 'connected'])
  })

  it.each(attacks.map(({ name, tokens }) => [name, tokens] as const))(
    '[FZ7] [FZ8] %s: no verifier accepts it, and no edge, whichever way it comes',
    async (_, tokens) => {
      const all = tokens()
      for (const token of all) expect([token.slice(0, 200), await acceptedBy(token)]).toEqual([token.slice(0, 200), []])
      const asked = all.flatMap((token) =>
        Object.values(edges).flatMap((edge) =>
          carrierNames.map(async (carrier) => [carrier, await answerTo(edge, carrier, token)] as const),
        ),
      )
      const answers = await Promise.all(asked)
      // In a query and in a subprotocol everything travels, but for what is larger than all headers may be.
      const refusals = new Set(['UNAUTHORIZED', 'VALIDATION_ERROR', 'UNSAFE_JSON', 'OVERLOADED', 'cannot travel so'])
      const others = answers.filter(
        ([, answer]) => !refusals.has(answer) && !/Unexpected server response: 431/.test(answer),
      )
      expect(others).toEqual([])
    },
  )

  it('[FZ9] a storm of key ids that nobody has, through an edge, asks the issuer once', async () => {
    const before = fetches
    const storm = Array.from({ length: 300 }, (_, i) => {
      const token = forge({ alg: 'RS256', kid: `storm-${i}` }, goodClaims(), ways.RS256.signer)
      return answerTo(of(edges, 'jwks'), carrierNames[i % carrierNames.length] ?? 'query', token)
    })
    const answers = new Set(await Promise.all(storm))
    expect(answers.has('connected')).toBe(false)
    expect(fetches - before).toBeLessThanOrEqual(1)
    const [, control = ''] = controls().find(([alg]) => alg === 'RS256') ?? []
    expect(await answerTo(of(edges, 'jwks'), 'query', control)).toBe('connected')
  })

  it('[FZ10] the mirror image of an ECDSA signature is a signature, and names nobody else', async () => {
    const token = forge(ways.ES256.header, goodClaims(), ways.ES256.signer)
    const twin = mirrored(token)
    expect(twin).not.toBe(token)
    const [first, second] = await Promise.all([token, twin].map((each) => of(verifiers, 'jwks').verify(each)))
    expect(second).toEqual(first)
    expect(second).toMatchObject({ ok: true, claims: { userId: 'alice', tenantId: 'acme' } })
  })

  it('[FZ10] docs/security.md lists every kind, and no other', () => {
    const page = readFileSync(new URL('../docs/security.md', import.meta.url), 'utf8')
    const listed = Array.from(page.matchAll(/^\| ([^|]+) \| (\d+) \| ([^|]+) \|$/gm), ([, group, count, names]) => [
      group,
      Number(count),
      names,
    ])
    const known = Object.entries(groups).map(([group, list]) => [
      group,
      list.length,
      list.map(({ name }) => name).join('; '),
    ])
    expect(listed).toEqual(known)
  })
})
