import { maxLocksInFlight } from '@flotilla/core/limits'
import { WebSocket } from 'ws'
import { connect } from '@flotilla/client'
import { expect, test } from 'vitest'
import { Client, token, until, useReadyEdge } from '../test/fleet.ts'

const here = useReadyEdge()
const room = (n: number): string => `document:acme:l${n}`

test('[LK8] a lock is given to one, wherever the others ask; it is listed, and free when it is unlocked (RM5)', async () => {
  const there = await here.fleet.edge({ memberId: 'edge-there' })
  await until('a plan is there', () => there.ready)
  const [ann, bob] = [await Client.open(here.edge.port, 'ann'), await Client.open(there.port, 'bob')]
  const lock = (holder: string): object => ({ type: 'lock', room: room(1), name: 'title', holder, ttlMs: 30_000 })
  const { lock: held } = await ann.ok(lock('h1'))
  expect(held).toMatchObject({ name: 'title', userId: 'ann', leftMs: 30_000 })
  expect(await bob.ask(lock('h2'))).toMatchObject({ code: 'LOCKED', message: 'locked by ann' })
  expect((await bob.ok({ type: 'locks', room: room(1) })).locks).toMatchObject([{ name: 'title', fence: held?.fence }])
  expect(await bob.ask({ type: 'unlock', room: room(1), name: 'title', holder: 'h2' })).toMatchObject({
    code: 'NOT_LOCKED',
  })
  await ann.ok({ type: 'unlock', room: room(1), name: 'title', holder: 'h1' })
  const { lock: next } = await bob.ok(lock('h2'))
  expect(BigInt(next?.fence ?? 0)).toBeGreaterThan(BigInt(held?.fence ?? ''))
  await Promise.all([ann.end(), bob.end()])
})

test('[LK9] who may not publish may not lock, who may not join sees no locks, and what is no lock is refused', async () => {
  const eve = await Client.open(here.edge.port, 'eve')
  const lock = { type: 'lock', room: 'document:other:1', holder: 'h' }
  expect(await eve.ask(lock)).toMatchObject({ code: 'FORBIDDEN' })
  expect(await eve.ask({ type: 'locks', room: 'document:other:1' })).toMatchObject({ code: 'FORBIDDEN' })
  for (const wrong of [
    { holder: '' },
    { holder: 'a\u001fb' },
    { ttlMs: 999 },
    { ttlMs: 300_001 },
    { name: 'x'.repeat(129) },
  ])
    expect(await eve.ask({ ...lock, room: room(2), ...wrong })).toMatchObject({ code: 'VALIDATION_ERROR' })
  const many = Array.from({ length: maxLocksInFlight + 1 }, (_, i) =>
    eve.ask({ ...lock, room: room(2), name: `n${i}` }),
  )
  const codes = (await Promise.all(many)).map((answer) => ('code' in answer ? answer.code : answer.type))
  expect(codes.filter((code) => code === 'RATE_LIMITED')).toHaveLength(1)
  expect(codes.filter((code) => code === 'ok')).toHaveLength(maxLocksInFlight)
  await eve.end()
})

test('[LK10] the client library renews its lock, waits for that of another, is told when it has lost it, and frees it at its end', async () => {
  const url = `ws://127.0.0.1:${here.edge.port}/ws`
  const open = (user: string) => connect({ url, token: token(user), WebSocket })
  const [ann, bob] = [await open('ann'), await open('bob')]
  const first = await ann.lock(room(3), { ttlMs: 1_000 })
  await expect(bob.lock(room(3))).rejects.toMatchObject({ code: 'LOCKED' })
  const waiting = bob.lock(room(3), { waitMs: 20_000, ttlMs: 1_000 })
  // Longer than its time: it has been renewed.
  const from = performance.now()
  await until('its time is over twice', () => performance.now() - from > 2_100)
  expect(first.held).toBe(true)
  await first.release()
  expect(first.held).toBe(false)
  const second = await waiting
  expect(BigInt(second.fence)).toBeGreaterThan(BigInt(first.fence))
  let lost = false
  second.onLost(() => (lost = true))
  bob.close()
  expect([second.held, lost]).toEqual([false, true])
  const third = await ann.lock(room(3), { waitMs: 900 })
  expect(BigInt(third.fence)).toBeGreaterThan(BigInt(second.fence))
  ann.close()
})
