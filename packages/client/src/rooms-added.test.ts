import { expect, test } from 'vitest'
import type { FlotillaError, RoomEvent } from './client.ts'
import { at, event } from './testing/fake-server.ts'
import { harness, nothingElse, numbers, until } from './testing/harness.ts'

const room = 'deal:acme:9'
const position = (seq: number) => ({ type: 'position', room, position: at(seq), recovered: true }) as const

test('[UR11] a room that a service has put the user into is heard at once, and asked for on the next connection (RM10)', async () => {
  const { server, pair } = await harness()
  const { client, peer } = await pair()
  const heard: RoomEvent[] = []
  client.on('*', (each) => heard.push(each))
  peer.send(position(4), event(room, 5))
  await until(() => heard.length === 1, 'the event')
  peer.kill()
  const second = await server.accept()
  await second.welcome()
  const resume = await second.expect('resume')
  expect(resume.rooms).toEqual([{ room, since: at(5) }])
  second.ok(resume, { rooms: [{ room, position: at(6), recovered: true, missed: 1 }] }, event(room, 6))
  await until(() => heard.length === 2, 'what was missed')
  expect(numbers(heard)).toEqual([5, 6])
})

test('[UR11] where the policy does not allow it there, it is over', async () => {
  const { server, pair } = await harness()
  const { client, peer } = await pair()
  const heard: RoomEvent[] = []
  client.on('*', (each) => heard.push(each))
  peer.send(position(4), event(room, 5))
  await until(() => heard.length === 1, 'the event')
  peer.kill()
  const second = await server.accept()
  await second.welcome()
  second.ok(await second.expect('resume'), { rooms: [{ room, error: { code: 'FORBIDDEN', message: 'no' } }] })
  await nothingElse(client, second)
  second.kill()
  const third = await server.accept()
  await third.welcome()
  await until(() => client.state === 'connected', 'the next connection')
  await nothingElse(client, third)
})

test('[UR11] subscribing to it needs no frame, and leaving it leaves it joined; its end is told to who subscribed', async () => {
  const { server, pair } = await harness()
  const { client, peer } = await pair()
  const heard: RoomEvent[] = []
  client.on('*', (each) => heard.push(each))
  peer.send(position(4), event(room, 5))
  await until(() => heard.length === 1, 'the event')
  const early = await client.subscribe(room)
  expect(early.position).toEqual(at(5))
  early.unsubscribe()
  await nothingElse(client, peer)
  peer.kill()
  const second = await server.accept()
  await second.welcome()
  second.ok(await second.expect('resume'), { rooms: [{ room, position: at(5), recovered: true, missed: 0 }] })
  const first = await client.subscribe(room)
  first.unsubscribe()
  await nothingElse(client, second)
  const errors: FlotillaError[] = []
  ;(await client.subscribe(room)).onError((error) => errors.push(error))
  second.send({ type: 'unsubscribed', room, code: 'REMOVED', message: 'taken out' })
  await until(() => errors.length === 1, 'the error')
  expect(errors).toMatchObject([{ code: 'REMOVED' }])
  second.kill()
  const third = await server.accept()
  await third.welcome()
  await until(() => client.state === 'connected', 'the next connection')
  await nothingElse(client, third)
})
