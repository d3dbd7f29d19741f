import { expect, test } from 'vitest'
import { failure, harness } from './testing/harness.ts'

const room = 'conversation:9'
const events = [4, 5].map((seq) => ({
  ...{ seq, event: 'message', data: seq },
  meta: { userId: 'bob', timestamp: '2026-01-01T00:00:00.000Z' },
}))
const page = { room, epoch: '5.12', first: 4, last: 5, events }

test('[CC31] a page is what the server answers; a refusal for good rejects, one for now is asked again (CL2)', async () => {
  const { pair } = await harness()
  const { client, peer } = await pair()
  const pending = client.history(room, { before: 6, limit: 2 })
  const frame = await peer.expect('history')
  expect(frame).toMatchObject({ room, before: 6, limit: 2 })
  peer.refuse(frame, { code: 'OVERLOADED', message: 'busy', retryAfterMs: 1 })
  peer.send({ type: 'history', id: (await peer.expect('history')).id, ...page })
  expect(await pending).toEqual({ events, first: 4, last: 5, epoch: '5.12' })
  const refused = failure(client.history('user:bob'))
  peer.refuse(await peer.expect('history'), { code: 'FORBIDDEN', message: 'not yours' })
  expect(await refused).toMatchObject({ code: 'FORBIDDEN' })
})

test('[CC31] it is asked for again on the next connection, four at once, and ends with its time or the client', async () => {
  const { server, pair } = await harness()
  const { client, peer } = await pair()
  const asked = Array.from({ length: 5 }, (_, i) => client.history(room, { after: i }))
  for (let i = 0; i < 4; i += 1) expect(await peer.expect('history')).toMatchObject({ after: i })
  expect(peer.unread).toBe(0)
  peer.kill()
  const second = await server.accept()
  await second.welcome()
  for (let i = 0; i < 5; i += 1) {
    const frame = await second.expect('history')
    expect(frame).toMatchObject({ after: i })
    second.send({ type: 'history', id: frame.id, ...page })
  }
  expect((await Promise.all(asked)).map(({ last }) => last)).toEqual([5, 5, 5, 5, 5])
  expect(await failure(client.history(room, { timeoutMs: 20 }))).toMatchObject({ name: 'TimeoutError' })
  const waiting = failure(client.history(room))
  client.close()
  expect(await waiting).toMatchObject({ name: 'ClosedError' })
  expect(await failure(client.history(room))).toMatchObject({ name: 'ClosedError' })
})

test('[CC31] more than a hundred at once are refused', async () => {
  const { pair } = await harness()
  const { client } = await pair()
  const pending = Array.from({ length: 100 }, () => failure(client.history(room)))
  expect(await failure(client.history(room))).toMatchObject({ name: 'QueueFullError' })
  client.close()
  expect(await Promise.all(pending)).toHaveLength(100)
})
