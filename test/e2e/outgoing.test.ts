import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from '@flotilla/client'
import type { Client } from '@flotilla/client'
import { signToken } from '@flotilla/node/jwt'
import { freePort } from '@flotilla/node/testing/free-port'
import { startRedis } from '@flotilla/node/testing/redis-server'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { startBalancer } from '../fleet/balancer.ts'
import { ingestKey, secret, startFleet } from '../fleet/fleet.ts'
import type { Fleet } from '../fleet/fleet.ts'
import { spawnNode } from '../fleet/process.ts'
import type { FleetProcess } from '../fleet/process.ts'
import { until } from '../fleet/until.ts'
import { publishAs } from './publishers.ts'
import { atEnd } from './setting.ts'

const rooms = Array.from({ length: 8 }, (_, i) => `chat:acme:${i}`)
const webhookSecret = 'a-secret-for-the-receiver'
const policy = {
  version: 1,
  types: { chat: { join: 'everyone', publish: 'everyone' } },
  outgoing: {
    events: ['connection.opened', 'connection.closed', 'room.occupied', 'room.vacated', 'user.message'],
    types: ['chat'],
    retain: { events: 5_000 },
  },
}

interface Told {
  readonly id: string
  readonly event: string
  readonly data: {
    readonly room?: string
    readonly connectionId?: string
    readonly edge?: string
    readonly data?: { readonly message: string }
    readonly position?: { readonly seq: number }
  }
}

/** The receiver of docs/webhooks.md, as a process that can be killed: each of its lives remembers nothing of the others. */
function startReceiver(folder: string, port: number) {
  const page = readFileSync(new URL('../../docs/webhooks.md', import.meta.url), 'utf8')
  const path = join(folder, 'receiver.mjs')
  writeFileSync(path, /```js receiver\n([^]*?)```/.exec(page)?.[1] ?? '')
  const told: Told[] = []
  let child: ChildProcess | undefined
  const start = (): void => {
    let rest = ''
    child = spawnNode([path], { WEBHOOK_SECRET: webhookSecret, PORT: String(port) })
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      told.push(...lines.map((line) => JSON.parse(line) as Told))
    })
  }
  start()
  return { told, start, kill: (): void => void child?.kill('SIGKILL') }
}

/** Each event the first time that it came. */
function firsts(told: readonly Told[]): readonly Told[] {
  const seen = new Set<string>()
  return told.filter(({ id }) => !seen.has(id) && seen.add(id))
}

async function begin() {
  const folder = mkdtempSync(join(tmpdir(), 'outgoing-'))
  atEnd(() => rmSync(folder, { recursive: true }))
  const receiverPort = await freePort()
  const receiver = startReceiver(folder, receiverPort)
  atEnd(() => receiver.kill())
  const files = { policy: join(folder, 'policy.json'), webhooks: join(folder, 'webhooks.json') }
  writeFileSync(files.policy, JSON.stringify(policy))
  const url = `http://127.0.0.1:${receiverPort}/events`
  const webhook = { name: 'crm', url, secret: { env: 'E2E_WEBHOOK_SECRET' }, timeoutMs: 2_000 }
  writeFileSync(files.webhooks, JSON.stringify({ webhooks: [webhook] }))
  const redis = await startRedis({ appendonly: true })
  atEnd(() => redis.close())
  const env = {
    FLOTILLA_POLICY_FILE: files.policy,
    FLOTILLA_WEBHOOKS_FILE: files.webhooks,
    E2E_WEBHOOK_SECRET: webhookSecret,
  }
  const fleet = await startFleet({ redisUrl: redis.url, edges: 2, workers: 2, controls: 1, ingests: 2, env })
  atEnd(() => fleet.stop())
  // The place of the webhook is kept once somebody has its turn.
  await until('the webhook has begun', async () => (await redis.call('KEYS', '*reader:webhook:crm'))?.toString() !== '')
  return { fleet, receiver }
}

async function connectAll(fleet: Fleet): Promise<readonly Client[]> {
  const balancer = await startBalancer(fleet.edges.map(({ port }) => port))
  atEnd(() => balancer.close())
  return Promise.all(
    rooms.map(async (room, i) => {
      const token = signToken({ secret, sub: `user-${i}`, tenant: 'acme', ttlSeconds: 3_600 })
      const url = `ws://127.0.0.1:${balancer.port}/ws`
      const client = await connect({ url, token, WebSocket, reconnect: { minMs: 100, maxMs: 1_000 } })
      atEnd(() => client.close())
      await client.subscribe(room, {})
      return client
    }),
  )
}

/** The ingest process that sends to the webhook. */
async function senderOf({ ingests }: Fleet): Promise<FleetProcess> {
  return until('one process sends', async () => {
    for (const each of ingests.filter(({ running }) => running)) {
      const text = await (await fetch(`http://127.0.0.1:${each.adminPort}/metrics`)).text()
      if (/^flotilla_ingest_webhook_active\{[^}]*\} 1$/m.test(text)) return each
    }
    return undefined
  })
}

async function readStream(port: number): Promise<readonly string[]> {
  const ids: string[] = []
  for (let after = 'oldest'; ;) {
    const url = `http://127.0.0.1:${port}/v1/stream?after=${after}&limit=1000`
    const answer = await fetch(url, { headers: { authorization: `Bearer ${ingestKey}` } })
    const page = (await answer.json()) as { events: Told[]; gaps: unknown[]; next: string }
    expect(page.gaps).toEqual([])
    ids.push(...page.events.map(({ id }) => id))
    if (page.next === after) return ids
    after = page.next
  }
}

/** Connections that were opened and neither closed nor on an edge that was lost. */
function leftOpen(told: readonly Told[]): readonly string[] {
  const lost = new Set(told.flatMap(({ event, data }) => (event === 'edge.lost' ? [data.edge] : [])))
  const closed = new Set(told.flatMap(({ event, data }) => (event === 'connection.closed' ? [data.connectionId] : [])))
  return told.flatMap(({ event, data }) =>
    event === 'connection.opened' && !closed.has(data.connectionId) && !lost.has(data.edge)
      ? [`${data.connectionId} on ${data.edge}`]
      : [],
  )
}

test('[WH13] whatever is killed, the receiver is told of every message in the order of its room, and of every connection (EV8)', async () => {
  const { fleet, receiver } = await begin()
  const clients = await connectAll(fleet)
  const published: string[] = []
  const publishSome = async (): Promise<void> => {
    const batch = Array.from({ length: 5 }, () => clients.map((client, i) => ({ client, room: rooms[i] ?? '' }))).flat()
    for (const { client, room } of batch) {
      const name = `m${published.length}`
      published.push(name)
      await publishAs(client, { name, room }, new Map())
    }
  }
  /** Publishes while something is wrong, and some more when it is right again. */
  const through = async (fault: () => Promise<void>): Promise<void> => {
    await Promise.all([publishSome(), fault()])
    await publishSome()
  }
  const restart = async (process: FleetProcess | undefined): Promise<void> => {
    await process?.kill('SIGKILL')
    await process?.start()
    await fleet.settled()
  }
  await publishSome()
  await through(async () => {
    receiver.kill()
    await publishSome()
    receiver.start()
  })
  await through(async () => restart(await senderOf(fleet)))
  await through(() => restart(fleet.workers[0]))
  await through(() => restart(fleet.edges[0]))

  const messages = (): readonly Told[] => firsts(receiver.told).filter(({ event }) => event === 'user.message')
  await until('every message was told', () => messages().length >= published.length, 60_000)
  expect(
    messages()
      .map(({ data }) => data.data?.message ?? '')
      .toSorted(),
  ).toEqual(published.toSorted())
  for (const room of rooms) {
    const seqs = messages().flatMap(({ data }) => (data.room === room ? [data.position?.seq] : []))
    expect(seqs).toEqual(seqs.map((_, i) => i + 1))
  }
  for (const client of clients) client.close()
  const vacated = (): number => firsts(receiver.told).filter(({ event }) => event === 'room.vacated').length
  await until('every room was vacated', () => vacated() >= rooms.length, 60_000)
  await until('no connection is left open', () => leftOpen(receiver.told).length === 0)
  const told = firsts(receiver.told)
  const occupied = told.filter(({ event }) => event === 'room.occupied')
  expect(told.filter(({ event }) => event === 'edge.lost')).toHaveLength(1)
  expect(occupied.length).toBe(vacated())
  const [, second] = fleet.ingests
  expect((await readStream(second?.port ?? 0)).toSorted()).toEqual(told.map(({ id }) => id).toSorted())
  expect(fleet.complaints()).toEqual([])
})
