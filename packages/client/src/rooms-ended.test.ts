import { expect, test } from 'vitest'
import type { FlotillaError, RoomEvent } from './client.ts'
import { at, event } from './testing/fake-server.ts'
import { harness, nothingElse, until } from './testing/harness.ts'

const room = 'deal:acme:9'

test('[CC29] a subscription that the server ends is told to who asked for it, and not asked for again', async () => {
  const { server, pair } = await harness()
  const { client, peer } = await pair()
  const heard: RoomEvent[] = []
  const pending = client.subscribe(room, { onEvent: (each) => heard.push(each) })
  peer.ok(await peer.expect('subscribe'), { room, position: at(7), recovered: true, missed: 0 })
  const errors: FlotillaError[] = []
  ;(await pending).onError((error) => errors.push(error))
  peer.send({ type: 'unsubscribed', room, code: 'FORBIDDEN', message: 'not any more' })
  await until(() => errors.length === 1, 'the error')
  expect(errors).toMatchObject([{ code: 'FORBIDDEN', message: 'not any more' }])
  await nothingElse(client, peer)
  peer.kill()
  const second = await server.accept()
  await second.welcome()
  await until(() => client.state === 'connected', 'the next connection')
  await nothingElse(client, second)
  expect(heard).toEqual([])
})

test('[CC29] a room that is asked for again is what the answer says', async () => {
  const { pair } = await harness()
  const { client, peer } = await pair()
  const pending = client.subscribe(room)
  const asked = await peer.expect('subscribe')
  // It was on its way before the request came.
  peer.send({ type: 'unsubscribed', room, code: 'FORBIDDEN', message: 'not any more' })
  peer.ok(asked, { room, position: at(9), recovered: true, missed: 0 }, event(room, 10))
  const subscription = await pending
  await until(() => subscription.position.seq === 10, 'the event')
})
