import { expect, test } from 'vitest'
import { failure, harness, until } from './testing/harness.ts'

const room = 'secret:acme:1'
const position = { epoch: '5.1', seq: 4 }

test('[CC37] the token of a room goes with every request for it, and is fetched again when the server does not take it any more (RM3)', async () => {
  const { server, pair } = await harness()
  const { client, peer } = await pair()
  let count = 0
  const pending = client.subscribe(room, { token: async () => `token-${(count += 1)}` })
  const first = await peer.expect('subscribe')
  expect(first).toMatchObject({ room, token: 'token-1' })
  peer.send({ type: 'ok', id: first.id, room, position, recovered: true, missed: 0 })
  const subscription = await pending
  const errors: string[] = []
  subscription.onError(({ code }) => errors.push(code))
  peer.send({ type: 'unsubscribed', room, code: 'ROOM_TOKEN_EXPIRED', message: 'over' })
  const second = await peer.expect('subscribe')
  expect(second).toMatchObject({ room, token: 'token-2', since: position })
  peer.send({ type: 'ok', id: second.id, room, position, recovered: true, missed: 0 })
  await client.publish('public:fence', 'fence', null, { ephemeral: true })
  await peer.expect('publish')
  peer.kill()
  const next = await server.accept()
  await next.welcome()
  const resumed = await next.expect('resume')
  expect(resumed.rooms).toMatchObject([{ room, token: 'token-2', since: position }])
  const error = { code: 'FORBIDDEN', message: 'no' }
  next.send({ type: 'ok', id: resumed.id, rooms: [{ room, error }] })
  const third = await next.expect('subscribe')
  expect(third).toMatchObject({ room, token: 'token-3' })
  // One that is new and not taken is none: it ends as any room that is not allowed.
  next.refuse(third, error)
  await until(() => errors.length > 0, 'it is told')
  expect(errors).toEqual(['FORBIDDEN'])
})

test('[CC38] a function that fails is asked again later; a text is what it is', async () => {
  const { pair, logged } = await harness()
  const { client, peer } = await pair()
  let fails = true
  const pending = client.subscribe(room, {
    token: () => {
      if (fails) throw new Error('the backend is away')
      return 'token'
    },
  })
  await until(() => logged.length > 0, 'it is logged')
  fails = false
  const frame = await peer.expect('subscribe')
  expect(frame).toMatchObject({ token: 'token' })
  peer.send({ type: 'ok', id: frame.id, room, position, recovered: true, missed: 0 })
  await pending
  fails = false
  const late = client.subscribe('secret:acme:3', { token: () => 'new' })
  // It was a minute on its way: another one is tried, after a while.
  peer.refuse(await peer.expect('subscribe'), { code: 'ROOM_TOKEN_EXPIRED', message: 'over' })
  const again = await peer.expect('subscribe')
  peer.send({ type: 'ok', id: again.id, room: 'secret:acme:3', position, recovered: true, missed: 0 })
  await late
  const fixed = failure(client.subscribe('secret:acme:2', { token: 'text' }))
  peer.refuse(await peer.expect('subscribe'), { code: 'FORBIDDEN', message: 'no' })
  expect(await fixed).toMatchObject({ code: 'FORBIDDEN' })
})
