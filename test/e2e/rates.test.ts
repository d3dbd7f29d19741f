import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { slotOf } from '@flotilla/core/slot'
import { signToken } from '@flotilla/node/jwt'
import { startRedis } from '@flotilla/node/testing/redis-server'
import { expect, test } from 'vitest'
import WebSocket from 'ws'
import { secret, startFleet } from '../fleet/fleet.ts'
import { until } from '../fleet/until.ts'
import { atEnd } from './setting.ts'

const [limit, slots] = [50, 128]
const policy = {
  version: 1,
  others: { form: 'any', join: 'everyone', publish: 'everyone' },
  classes: { broadcast: ['news'] },
  rates: { broadcast: `${limit}/h` },
}

interface Answer {
  readonly type: string
  readonly code?: string
  readonly retryAfterMs?: number
}

/** A connection of a user that publishes and counts, and tries nothing again. */
async function device(port: number, sub: string) {
  const token = signToken({ secret, sub, tenant: 'acme', ttlSeconds: 600 })
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers: { authorization: `Bearer ${token}` } })
  atEnd(() => socket.terminate())
  const answers: Answer[] = []
  let isIn = false
  socket.on('message', (data: Buffer) => {
    const frame = JSON.parse(data.toString()) as Answer
    if (frame.type === 'connected') isIn = true
    if (frame.type === 'ok' || frame.type === 'error') answers.push(frame)
  })
  await until(`${sub} is connected`, () => isIn)
  let id = 0
  return {
    answers,
    publish: () =>
      socket.send(JSON.stringify({ type: 'publish', id: (id += 1), room: 'public:r', event: 'news', data: id })),
  }
}

test('[RL15] over three edges and three workers on Redis a user publishes as much as the rate allows, and another as much again; with its worker killed it goes on, within a limit for each edge and the next owner (LM1)', async () => {
  const redis = await startRedis({ appendonly: true })
  atEnd(() => redis.close())
  const folder = await mkdtemp(join(tmpdir(), 'flotilla-rates-'))
  atEnd(() => rm(folder, { recursive: true }))
  const file = join(folder, 'policy.json')
  await writeFile(file, JSON.stringify(policy))
  const env = { FLOTILLA_POLICY_FILE: file }
  const fleet = await startFleet({ redisUrl: redis.url, edges: 3, workers: 3, controls: 1, ingests: 1, env })
  atEnd(() => fleet.stop())

  const publishAll = async (sub: string, count: number) => {
    const devices = await Promise.all([...fleet.edges, ...fleet.edges].map(({ port }) => device(port, sub)))
    const answers = () => devices.flatMap((each) => each.answers)
    const more = async (further: number) => {
      const had = answers().length
      for (let i = 0; i < further; i += 1) devices[i % devices.length]?.publish()
      await until('all are answered', () => answers().length === had + further)
      return answers().slice(0)
    }
    await more(count)
    return { more, taken: () => answers().filter(({ type }) => type === 'ok').length, answers }
  }
  const alice = await publishAll('alice', 500)
  expect(alice.taken()).toBe(limit)
  for (const { code, retryAfterMs } of alice.answers().filter(({ type }) => type === 'error')) {
    expect(code).toBe('RATE_LIMITED')
    expect(retryAfterMs).toBeGreaterThan(0)
  }
  const bob = await publishAll('bob', 30)
  expect(bob.taken()).toBe(30)

  const view = await fleet.view()
  const own = slotOf('user:bob', slots)
  const owner = Object.entries(view?.plan.slots ?? {})
    .find(([, all]) => all.includes(own))?.[0]
    .split('#')[0]
  const worker = fleet.workers.find(({ name }) => name === owner)
  await worker?.kill('SIGKILL')
  const before = bob.taken()
  // Events of a lease that was there are published first; then there is nobody to ask.
  await until('publishing goes on', async () => {
    await bob.more(60)
    return bob.taken() > before
  })
  await fleet.settled()
  await bob.more(500)
  expect(bob.taken()).toBeGreaterThan(before)
  expect(bob.taken()).toBeLessThanOrEqual(limit * (1 + fleet.edges.length + 1))
}, 120_000)
