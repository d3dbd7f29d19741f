import type { EventFrame } from '@flotilla/core/frames'
import { describe, expect, it } from 'vitest'
import type { Client } from './client.ts'
import { harness, nothingElse, until } from './testing/harness.ts'
import type { Peer } from './testing/fake-server.ts'
import { typingForgetMs, typingIn, typingRepeatMs, typingStopMs } from './typing.ts'

const room = 'conversation:9'
const heard = (event: string, userId: string, connectionId = `${userId}-1`): EventFrame => ({
  ...{ type: 'event', room, event, data: null },
  meta: { userId, connectionId, timestamp: '2026-01-01T00:00:00.000Z' },
})

/** A client that is subscribed. */
async function subscribed(): Promise<{ client: Client; peer: Peer }> {
  const { pair } = await harness()
  const { client, peer } = await pair()
  const asked = client.subscribe(room)
  peer.ok(await peer.expect('subscribe'), { room, position: { epoch: '5.1', seq: 1 }, recovered: true, missed: 0 })
  await asked
  return { client, peer }
}
async function expectTyping(peer: Peer, event: string): Promise<void> {
  expect(await peer.expect('publish')).toMatchObject({
    ...{ room, event, ephemeral: true, echo: false, conflate: 'typing' },
  })
}

describe('typing', () => {
  it('[TY1] is said at the first key and not at each, and its end when the application says so', async () => {
    const { client, peer } = await subscribed()
    const typing = typingIn(client, room)
    for (let i = 0; i < 20; i += 1) typing.start()
    typing.stop()
    typing.stop()
    await expectTyping(peer, 'typing.start')
    await expectTyping(peer, 'typing.stop')
    await nothingElse(client, peer)
    typing.start()
    await expectTyping(peer, 'typing.start')
  })

  it('[TY1] ends by itself after the last key, and is said again while there are more (EV4, CL2)', async () => {
    const { client, peer } = await subscribed()
    const typing = typingIn(client, room)
    const startedAt = performance.now()
    let lastAt = startedAt
    const keys = setInterval(() => {
      typing.start()
      lastAt = performance.now()
      if (lastAt - startedAt > typingRepeatMs + 200) clearInterval(keys)
    }, 50)
    await expectTyping(peer, 'typing.start')
    await expectTyping(peer, 'typing.start')
    expect(performance.now() - startedAt).toBeGreaterThan(typingRepeatMs - 20)
    await expectTyping(peer, 'typing.stop')
    expect(performance.now() - lastAt).toBeGreaterThan(typingStopMs - 20)
  })

  it('[TY2] tells who else types, each user once, whenever that changes', async () => {
    const { client, peer } = await subscribed()
    const typing = typingIn(client, room)
    const told: (readonly string[])[] = []
    typing.onTyping((users) => told.push(users))
    peer.send(heard('typing.start', 'carol'), heard('typing.start', 'bob'), heard('typing.start', 'bob', 'bob-2'))
    peer.send(heard('typing.start', 'alice', 'alice-2'), heard('typing.start', 'carol'), heard('typing.stop', 'bob'))
    peer.send(heard('typing.stop', 'carol'), heard('typing.stop', 'dora'), heard('typing.stop', 'bob', 'bob-2'))
    await until(() => told.length >= 4, 'nobody types')
    expect(told).toEqual([['carol'], ['bob', 'carol'], ['bob'], []])
    expect(typing.users).toEqual([])
  })

  it('[TY2] forgets who says nothing more (EV4, CL2)', async () => {
    const { client, peer } = await subscribed()
    const typing = typingIn(client, room)
    const told: { readonly users: readonly string[]; readonly atMs: number }[] = []
    typing.onTyping((users) => told.push({ users, atMs: performance.now() }))
    peer.send(heard('typing.start', 'bob'))
    await until(() => told.length === 2, 'he is forgotten')
    expect(told.map(({ users }) => users)).toEqual([['bob'], []])
    expect((told[1]?.atMs ?? 0) - (told[0]?.atMs ?? 0)).toBeGreaterThan(typingForgetMs - 20)
  })

  it('[TY4] closed, it says that it has stopped, and tells nothing any more', async () => {
    const { client, peer } = await subscribed()
    const [typing, other] = [typingIn(client, room), typingIn(client, room)]
    const told: string[] = []
    typing.onTyping(() => told.push('closed'))
    other.onTyping(() => told.push('open'))
    typing.start()
    typing.close()
    await expectTyping(peer, 'typing.start')
    await expectTyping(peer, 'typing.stop')
    peer.send(heard('typing.start', 'bob'))
    await until(() => told.length > 0, 'the other one hears it')
    expect(told).toEqual(['open'])
    client.close()
    expect(other.users).toEqual([])
  })
})
