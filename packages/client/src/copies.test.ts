import type { ServerFrame } from '@flotilla/core/frames'
import { expect, test } from 'vitest'
import type { Client, RoomEvent } from './client.ts'
import { at } from './testing/fake-server.ts'
import type { Peer } from './testing/fake-server.ts'
import { harness, until } from './testing/harness.ts'

const [a, b] = ['deal:acme:1', 'deal:acme:2']

/** One copy of the event `id`; ephemeral without a number. */
function copy(room: string, seq: number | undefined, id: string, userId = 'key:crm'): ServerFrame {
  const meta = { userId, timestamp: '2026-01-01T00:00:00.000Z', id }
  return { type: 'event', room, event: 'e', data: id, meta, ...(seq === undefined ? {} : { seq }) }
}

async function subscribed(client: Client, peer: Peer, room: string, seq = 0): Promise<RoomEvent[]> {
  const heard: RoomEvent[] = []
  const pending = client.subscribe(room, { onEvent: (each) => heard.push(each) })
  peer.ok(await peer.expect('subscribe'), { room, position: at(seq), recovered: true, missed: 0 })
  await pending
  return heard
}

const placesOf = (heard: readonly RoomEvent[]): string[] => heard.map(({ room, data }) => `${room} ${String(data)}`)

test('[SR2] an event that was sent to several rooms is heard once, and the other room moves on (RM7)', async () => {
  const { server, pair } = await harness()
  const { client, peer } = await pair()
  const all: RoomEvent[] = []
  const [inA, inB] = [await subscribed(client, peer, a), await subscribed(client, peer, b)]
  client.on('*', (each) => all.push(each))
  peer.send(copy(a, 1, 'x'), copy(b, 1, 'x'), copy(b, 2, 'y'), copy(a, 2, 'y'), copy(a, undefined, 'z'))
  peer.send(copy(b, undefined, 'z'), copy(a, 3, 'last'))
  await until(() => all.length === 4, 'four events')
  expect([placesOf(inA), placesOf(inB)]).toEqual([[`${a} x`, `${a} z`, `${a} last`], [`${b} y`]])
  peer.kill()
  const second = await server.accept()
  await second.welcome()
  const resume = await second.expect('resume')
  expect(resume.rooms).toEqual([
    { room: a, since: at(3) },
    { room: b, since: at(2) },
  ])
  // A copy that comes on another connection is one still.
  const rooms = [a, b].map((room) => ({ room, position: at(4), recovered: true, missed: room === a ? 1 : 2 }))
  second.ok(resume, { rooms }, copy(a, 4, 'new'), copy(b, 3, 'last'), copy(b, 4, 'newer'))
  await until(() => all.length === 6, 'the rest')
  expect(placesOf(all).slice(4)).toEqual([`${a} new`, `${b} newer`])
})

test('[SR3] a copy that nobody listened to is not the one that was heard', async () => {
  const { pair } = await harness()
  const { client, peer } = await pair({}, ['user:alice'])
  peer.ok(await peer.expect('resume'), {
    rooms: [{ room: 'user:alice', position: at(0), recovered: true, missed: 0 }],
  })
  const heard = await subscribed(client, peer, b)
  peer.send(copy('user:alice', 1, 'x'), copy(b, 1, 'x'))
  await until(() => heard.length === 1, 'the event')
  client.room(a).on('e', () => undefined)
  const inA = await subscribed(client, peer, a)
  peer.send(copy(b, 2, 'y'), copy(a, 1, 'y'), copy(a, 2, 'z'))
  await until(() => inA.length === 1, 'the last')
  expect(placesOf([...heard, ...inA])).toEqual([`${b} x`, `${b} y`, `${a} z`])
})

test('[SR3] ids of two publishers are not one, nor is an id that comes again in its room', async () => {
  const { pair } = await harness()
  const { client, peer } = await pair()
  const all: RoomEvent[] = []
  client.on('*', (each) => all.push(each))
  for (const room of [a, b]) await subscribed(client, peer, room)
  peer.send(copy(a, 1, 'x'), copy(b, 1, 'x', 'key:other'), copy(a, 2, 'x'), copy(b, 2, 'x'))
  peer.send(copy(b, 3, 'last'))
  await until(() => all.some(({ data }) => data === 'last'), 'the last')
  expect(all.map(({ room, position }) => [room, position?.seq])).toEqual([
    [a, 1],
    [b, 1],
    [a, 2],
    [b, 3],
  ])
})

test('[SR3] the last thousand are remembered', async () => {
  const { pair } = await harness()
  const { client, peer } = await pair()
  const [inA, inB] = [await subscribed(client, peer, a), await subscribed(client, peer, b)]
  for (let n = 1; n <= 1_001; n += 1) peer.send(copy(a, n, `x${n}`))
  peer.send(copy(b, 1, 'x2'), copy(b, 2, 'x1'))
  await until(() => inB.length === 1, 'the one that was forgotten')
  expect([inA.length, placesOf(inB)]).toEqual([1_001, [`${b} x1`]])
})
