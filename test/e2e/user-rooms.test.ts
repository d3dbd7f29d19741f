import { connect } from '@flotilla/client'
import type { Client, RoomEvent } from '@flotilla/client'
import { DEVELOPMENT_SECRET, signToken } from '@flotilla/node/jwt'
import { afterAll, beforeAll, expect, test } from 'vitest'
import WebSocket from 'ws'
import { until } from '../fleet/until.ts'
import { freePorts, startAllInOne } from './all-in-one.ts'
import type { AllInOne } from './all-in-one.ts'
import { atEnd } from './setting.ts'

let fleet: AllInOne
let ingest: { readonly base: string; readonly authorization: string }

beforeAll(async () => {
  fleet = await freePorts().then(startAllInOne)
  const [, base = '', authorization = ''] = /(http:\S+)\/v1\/events -H 'Authorization: ([^']+)'/.exec(fleet.curl) ?? []
  ingest = { base, authorization }
}, 60_000)
afterAll(() => fleet.stop())

async function call(method: string, path: string, body?: object): Promise<number> {
  const headers = { authorization: ingest.authorization, 'content-type': 'application/json' }
  const sent = body === undefined ? {} : { body: JSON.stringify(body) }
  const { status } = await fetch(`${ingest.base}${path}`, { method, headers, ...sent })
  return status
}

/** A device of the user, and every event that it hears but those of the user's own room. */
async function device(sub: string): Promise<{ readonly client: Client; readonly heard: RoomEvent[] }> {
  const token = signToken({ secret: DEVELOPMENT_SECRET, sub, tenant: 'acme', ttlSeconds: 600 })
  const client = await connect({ url: `ws://127.0.0.1:${fleet.edgePort}/ws`, token, WebSocket })
  atEnd(() => client.close())
  const heard: RoomEvent[] = []
  client.on('*', (event) => !event.room.startsWith('user:') && heard.push(event))
  return { client, heard }
}
const texts = (heard: readonly RoomEvent[]): unknown[] => heard.map(({ data }) => data)

test('[UR5, UR6] a post puts a user into a room of another tenant on all devices, and another takes it out (RM10)', async () => {
  const devices = [await device('alice'), await device('alice')]
  const room = 'deal:globex:7'
  await Promise.all(devices.map(({ client }) => client.subscribe('user:alice')))
  expect(await call('POST', '/v1/users/alice/rooms', { room })).toBe(202)
  await until('a post is heard', async () => {
    await call('POST', '/v1/events', { room, event: 'e', data: 'in' })
    return devices.every(({ heard }) => heard.length > 0)
  })
  const subscriptions = await Promise.all(devices.map(({ client }) => client.subscribe(room)))
  const ended = subscriptions.map((each) => new Promise<string>((end) => each.onError(({ code }) => end(code))))
  expect(await call('DELETE', `/v1/users/alice/rooms/${room}`)).toBe(202)
  expect(await Promise.all(ended)).toEqual(['REMOVED', 'REMOVED'])
  await expect(devices[0]?.client.subscribe(room)).rejects.toMatchObject({ code: 'FORBIDDEN' })
})

test('[SR1, SR2] a post to several rooms is heard once by who is in all of them (RM7)', async () => {
  const { client, heard } = await device('bob')
  const rooms = ['deal:acme:1', 'deal:acme:2', 'public:news']
  await Promise.all(rooms.map((room) => client.subscribe(room)))
  for (const data of ['one', 'two', 'three'])
    expect(await call('POST', '/v1/events', { rooms, event: 'e', data })).toBe(202)
  for (const room of rooms) expect(await call('POST', '/v1/events', { room, event: 'e', data: room })).toBe(202)
  await until('all is heard', () => rooms.every((room) => texts(heard).includes(room)))
  expect(texts(heard).filter((text) => !rooms.includes(String(text)))).toEqual(['one', 'two', 'three'])
})

test('[QU8] the rooms of a user are those of all its devices, and those that a service put it into (RM4)', async () => {
  const [phone, desk] = [await device('cleo'), await device('cleo')]
  const chats = Array.from({ length: 6 }, (_, i) => `chat:acme:${i}`)
  const [, , second] = await Promise.all(chats.map((room, i) => (i % 2 === 0 ? phone : desk).client.subscribe(room)))
  await desk.client.subscribe(chats[0] ?? '')
  // Nobody keeps the members of such a room.
  await desk.client.subscribe('deal:acme:1')
  await desk.client.subscribe('user:cleo')
  const put = 'conversation:globex:9'
  expect(await call('POST', '/v1/users/cleo/rooms', { room: put })).toBe(202)
  const found = async (): Promise<{ rooms: { room: string; connections: number }[]; put: { room: string }[] }> => {
    const response = await fetch(`${ingest.base}/v1/users/cleo/rooms`, { headers: ingest })
    return (await response.json()) as { rooms: { room: string; connections: number }[]; put: { room: string }[] }
  }
  const all = await until('all rooms are told', async () => {
    const answer = await found()
    return answer.rooms.length === chats.length + 1 && answer.rooms.at(-1)?.connections === 2 && answer
  })
  const expected = [...chats.map((room, i) => [room, i === 0 ? 2 : 1]), [put, 2]]
  expect(all.rooms.map(({ room, connections }) => [room, connections])).toEqual(expected)
  expect(all.put.map(({ room }) => room)).toEqual([put])
  second?.unsubscribe()
  await until('what was left is not told', async () =>
    (await found()).rooms.every(({ room }) => room !== 'chat:acme:2'),
  )
})
