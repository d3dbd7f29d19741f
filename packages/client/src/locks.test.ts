import { expect, test } from 'vitest'
import type { FrameOf, Peer } from './testing/fake-server.ts'
import { failure, harness, until } from './testing/harness.ts'

const room = 'document:acme:7'
const give = (peer: Peer, asked: FrameOf<'lock'>, fence: string): void =>
  peer.ok(asked, { room, lock: { name: asked.name ?? '', userId: 'ann', fence, leftMs: asked.ttlMs ?? 0 } })
const refuse = (peer: Peer, { id }: FrameOf<'lock'>, code: string, retryAfterMs = 10): void =>
  peer.send({ type: 'error', id, code, message: code, room, retryAfterMs })

test('[LK12] a lock that is given after its asker has given up is unlocked at once: others need not wait for its time', async () => {
  const { pair } = await harness()
  const { client, peer } = await pair({ attemptTimeoutMs: 500 })
  const lock = client.lock(room, { name: 'title', waitMs: 60 })
  const asked = await peer.expect('lock')
  await expect(lock).rejects.toMatchObject({ name: 'TimeoutError' })
  give(peer, asked, '7')
  expect(await peer.expect('unlock')).toMatchObject({ room, name: 'title', holder: asked.holder })
})

test('[LK12] a lock that is asked for when the client is closed is unlocked as one that is held', async () => {
  const { pair } = await harness()
  const { client, peer } = await pair()
  const lock = client.lock(room)
  const refused = failure(lock)
  const asked = await peer.expect('lock')
  client.close()
  expect(await peer.expect('unlock')).toMatchObject({ room, holder: asked.holder })
  expect(await refused).toMatchObject({ name: 'ClosedError' })
})

test('[LK12] a lock whose time was over when the answer came is asked for again, and not given to the application', async () => {
  const { pair } = await harness()
  const { client, peer } = await pair()
  const pending = client.lock(room, { ttlMs: 1_000, waitMs: 5_000 })
  const first = await peer.expect('lock')
  const from = performance.now()
  await until(() => performance.now() - from > 1_050, 'its time')
  give(peer, first, '7')
  const second = await peer.expect('lock')
  expect(second.holder).toBe(first.holder)
  give(peer, second, '7')
  const lock = await pending
  expect(lock.held).toBe(true)
})

test('[LK12] a lock that was lost and given again under another number is unlocked', async () => {
  const { pair } = await harness()
  const { client, peer } = await pair()
  const pending = client.lock(room, { ttlMs: 1_000 })
  const first = await peer.expect('lock')
  give(peer, first, '7')
  const lock = await pending
  let lost = false
  lock.onLost(() => (lost = true))
  give(peer, await peer.expect('lock'), '9')
  expect(await peer.expect('unlock')).toMatchObject({ holder: first.holder })
  await until(() => lost, 'it is lost')
})

test('[LK10] a lock is asked for until it is free, and a renewal that is refused for now is tried again', async () => {
  const { pair } = await harness()
  const { client, peer } = await pair()
  const pending = client.lock(room, { ttlMs: 3_000, waitMs: 5_000 })
  refuse(peer, await peer.expect('lock'), 'LOCKED')
  give(peer, await peer.expect('lock'), '7')
  const lock = await pending
  refuse(peer, await peer.expect('lock'), 'OVERLOADED')
  give(peer, await peer.expect('lock'), '7')
  expect(lock.held).toBe(true)
  const released = lock.release()
  peer.ok(await peer.expect('unlock'), { room })
  await released
  expect(lock.held).toBe(false)
})
