import type { EventOptions } from '@flotilla/core/event-options'
import { parsePolicy } from '@flotilla/core/policy-file'
import type { RoomControl } from '@flotilla/core/room-control'
import { fixedPolicy } from '@flotilla/node/policy'
import { expect, test } from 'vitest'
import { Client, token, until, useReadyEdge } from '../test/fleet.ts'

const here = useReadyEdge()
let count = 0

/** What ingest publishes for `POST /v1/users/:user/rooms`. */
function tell(user: string, control: RoomControl): Promise<unknown> {
  const options: EventOptions = { control }
  const { type, room } = control
  const tail = `"event":"room.${type}","data":{"room":"${room}"},"meta":{"userId":"key:crm","timestamp":"t"}`
  const message = {
    room: `user:${user}`,
    key: `k${(count += 1)}`,
    sender: 'key:crm',
    options: JSON.stringify(options),
    tail,
  }
  return new Promise((resolve) => here.fleet.publisher.publish(message, resolve))
}

const positions = (client: Client, room: string): number =>
  client.of('position').filter((frame) => frame.room === room).length

test('[UR5, UR6] every device of the user joins and leaves, on every edge (RM10)', async () => {
  const other = await here.fleet.edge()
  await until('a plan is there', () => other.ready)
  // Of another tenant: the policy would not let alice in.
  const room = 'deal:globex:1'
  const devices = [await Client.open(here.edge.port, 'alice'), await Client.open(other.port, 'alice')]
  const bob = new Client(other.port, { headers: { authorization: `Bearer ${token('bob', 60, 'globex')}` } })
  await until('bob is in', () => bob.of('connected').length === 1)
  await tell('alice', { type: 'join', room })
  for (const device of devices) {
    await until('the room is joined', () => positions(device, room) === 1)
    expect(device.events('user:alice')).toMatchObject([{ event: 'room.join', data: { room } }])
  }
  await bob.publish(room, 'for alice')
  for (const device of devices) await until('the event is heard', () => device.events(room).length === 1)
  await tell('alice', { type: 'leave', room })
  for (const device of devices) {
    await until('the end is told', () => device.of('unsubscribed').length === 1)
    expect(device.of('unsubscribed')).toMatchObject([{ room, code: 'REMOVED' }])
  }
  await bob.publish(room, 'not any more')
  for (const device of devices) {
    // What it publishes itself comes after.
    await device.publish('user:alice', 'fence')
    await until('the fence is heard', () => device.events('user:alice').some(({ data }) => data === 'fence'))
    expect(device.events(room).map(({ data }) => data)).toEqual(['for alice'])
    expect(await device.ask({ type: 'subscribe', room })).toMatchObject({ code: 'FORBIDDEN' })
  }
})

test('[UR8] a device that resumes acts on what it has missed, in order; a new one joins nothing', async () => {
  const before = await Client.open(here.edge.port, 'carol')
  const [{ position } = { position: undefined }] = before.of('position').filter(({ room }) => room === 'user:carol')
  await before.end()
  await tell('carol', { type: 'join', room: 'deal:globex:2' })
  await tell('carol', { type: 'join', room: 'deal:globex:3' })
  await tell('carol', { type: 'leave', room: 'deal:globex:2' })
  const fresh = await Client.open(here.edge.port, 'carol')
  const back = await Client.open(here.edge.port, 'carol')
  await back.ok({ type: 'resume', rooms: [{ room: 'user:carol', since: position }] })
  await until('the room is joined', () => positions(back, 'deal:globex:3') === 1)
  expect(back.events('user:carol').map(({ event }) => event)).toEqual(['room.join', 'room.join', 'room.leave'])
  expect(await back.ask({ type: 'subscribe', room: 'deal:globex:2' })).toMatchObject({ code: 'FORBIDDEN' })
  expect(positions(fresh, 'deal:globex:3')).toBe(0)
  expect(await fresh.ask({ type: 'subscribe', room: 'deal:globex:3' })).toMatchObject({ code: 'FORBIDDEN' })
})

test('[UR9] whoever else hears the room of a user hears the event, and stays where it is', async () => {
  const parsed = parsePolicy({ version: 1, connect: ['user:dave'], types: { user: { form: 'id', join: 'everyone' } } })
  if (!parsed.ok) throw new Error(parsed.problems.join())
  const edge = await here.fleet.edge({}, fixedPolicy(parsed.policy))
  await until('a plan is there', () => edge.ready)
  const [dave, eve] = ['dave', 'eve'].map(
    (sub) => new Client(edge.port, { headers: { authorization: `Bearer ${token(sub)}` } }),
  )
  if (dave === undefined || eve === undefined) throw new Error('two clients')
  for (const client of [dave, eve]) await until('the room is live', () => positions(client, 'user:dave') === 1)
  await tell('dave', { type: 'join', room: 'user:erin' })
  await until('dave has joined', () => positions(dave, 'user:erin') === 1)
  await until('eve has heard', () => eve.events('user:dave').length === 1)
  await eve.ok({ type: 'subscribe', room: 'user:eve' })
  expect(positions(eve, 'user:erin')).toBe(0)
})

test('[UR4] what a client publishes there joins nothing, and options that make no sense do nothing', async () => {
  const frank = await Client.open(here.edge.port, 'frank')
  const room = 'deal:globex:4'
  const control = { type: 'join', room }
  await frank.publish('user:frank', { room }, { event: 'room.join', match: { control } })
  for (const options of ['{"control":', '{"control":7}', '{"control":{"type":"own","room":"deal:globex:4"}}']) {
    const tail = '"event":"room.join","data":null,"meta":{"userId":"key:crm","timestamp":"t"}'
    const message = { room: 'user:frank', key: `k${(count += 1)}`, sender: 'key:crm', options, tail }
    await new Promise((resolve) => here.fleet.publisher.publish(message, resolve))
  }
  await until('all are heard', () => frank.events('user:frank').length === 4)
  expect(await frank.ask({ type: 'subscribe', room })).toMatchObject({ code: 'FORBIDDEN' })
  expect(positions(frank, room)).toBe(0)
})
