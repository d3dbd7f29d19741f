import { expect, test } from 'vitest'
import type { RoomEvent, RoomPresence } from './client.ts'
import { at, event } from './testing/fake-server.ts'
import { harness, until } from './testing/harness.ts'

const room = 'chat:acme:9'
const member = (userId: string, status: 'online' | 'busy' = 'online') => ({
  userId,
  since: '2026-01-01T00:00:00.000Z',
  status,
})
const live = { room, position: at(7), recovered: true, missed: 0, presence: true }

test('[CC32] onPresence asks for the members, is told of everybody first, and of a new connection only what differs (CL2)', async () => {
  const { server, pair } = await harness()
  const { client, peer } = await pair()
  const heard: RoomPresence[] = []
  const names = (): string | undefined =>
    heard
      .at(-1)
      ?.members?.map(({ userId }) => userId)
      .join('+')
  const pending = client.subscribe(room, { onPresence: (presence) => heard.push(presence) })
  const asked = await peer.expect('subscribe')
  expect(asked).toMatchObject({ room, presence: true })
  peer.ok(asked, live)
  await pending
  peer.send({ type: 'presence', room, count: 2, members: [member('ann'), member('bob')] })
  await until(() => names() === 'ann+bob', 'everybody')
  expect(heard[0]).toMatchObject({ count: 2, joined: [], changed: [], left: [] })
  peer.send({ type: 'presence', room, count: 2, joined: [member('cat')], left: [{ userId: 'bob', lastSeen: 'then' }] })
  await until(() => names() === 'ann+cat', 'a change')
  expect(heard[1]).toMatchObject({ joined: [{ userId: 'cat' }], left: [{ userId: 'bob', lastSeen: 'then' }] })
  peer.kill()
  const second = await server.accept()
  await second.welcome()
  const resumed = await second.expect('resume')
  expect(resumed).toMatchObject({ rooms: [{ room, presence: true }] })
  second.ok(resumed, { rooms: [live] })
  second.send({ type: 'presence', room, count: 2, members: [member('ann'), member('cat')] })
  second.send({ type: 'presence', room, count: 2, members: [member('ann', 'busy'), member('dan')] })
  await until(() => names() === 'ann+dan', 'what differs')
  expect(heard).toHaveLength(3)
  expect(heard[2]).toMatchObject({
    joined: [{ userId: 'dan' }],
    changed: [{ userId: 'ann' }],
    left: [{ userId: 'cat' }],
  })
  second.send({ type: 'presence', room, count: 9_000, members: null })
  await until(() => heard.at(-1)?.members === null, 'too many')
})

test('[CC32] a room that is subscribed already is asked for again for its members, and one without is not told of', async () => {
  const { pair } = await harness()
  const { client, peer } = await pair()
  const events: RoomEvent[] = []
  const first = client.subscribe(room, { onEvent: (each) => events.push(each) })
  const asked = await peer.expect('subscribe')
  expect(asked).not.toHaveProperty('presence')
  peer.ok(asked, live)
  await first
  peer.send({ type: 'presence', room, count: 1, members: [member('ann')] })
  peer.send(event(room, 8))
  await until(() => events.length === 1, 'the event')
  const heard: RoomPresence[] = []
  await client.subscribe(room, { onPresence: (presence) => heard.push(presence) })
  const again = await peer.expect('subscribe')
  expect(again).toMatchObject({ presence: true, since: at(8) })
  peer.ok(again, { ...live, position: at(8) })
  peer.send({ type: 'presence', room, count: 1, members: [member('bob')] })
  await until(() => heard.length === 1, 'the members')
  expect(heard[0]?.members).toMatchObject([{ userId: 'bob' }])
})

test('[CC33] what a user shows is said again on every connection, before its rooms; a refusal is told and not repeated', async () => {
  const { server, pair } = await harness()
  const { client, peer } = await pair()
  const shown = client.setPresence({ status: 'busy', data: { page: '/deals/7' } })
  const asked = await peer.expect('presence')
  expect(asked).toMatchObject({ status: 'busy', data: { page: '/deals/7' } })
  // It was not answered, so it is answered by the next connection.
  peer.kill()
  const second = await server.accept()
  await second.welcome()
  second.ok(await second.expect('presence'), {})
  await shown
  // Refused for now: said again, and not forgotten for the next connection.
  const later = client.setPresence({ status: 'online' })
  const { id } = await second.expect('presence')
  second.send({ type: 'error', id, code: 'RATE_LIMITED', message: 'too often', retryAfterMs: 10 })
  second.ok(await second.expect('presence'), {})
  await later
  const refused = client.setPresence({ status: 'away', data: { note: 'x'.repeat(600) } })
  const large = await second.expect('presence')
  second.send({ type: 'error', id: large.id, code: 'PAYLOAD_TOO_LARGE', message: 'too much' })
  await expect(refused).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
  client.close()
  await expect(client.setPresence({ status: 'online' })).rejects.toMatchObject({ name: 'ClosedError' })
})
