import type { Denial } from '@flotilla/core/denials'
import { expect, test } from 'vitest'
import { Client, token, until, useReadyEdge } from '../test/fleet.ts'

const here = useReadyEdge()
let count = 0

function deny(type: Denial['type'], subject: Denial['subject'], more: Partial<Denial> = {}): Promise<boolean> {
  const denial: Denial = { id: `d${(count += 1)}`, type, subject, untilMs: null, atMs: Date.now(), by: 'test', ...more }
  return here.fleet.store.fleet.deny(denial, Date.now())
}

test('[DE9] a ban reaches every device on every edge within a second, and holds on an edge that starts later (CN10)', async () => {
  const other = await here.fleet.edge()
  await until('a plan is there', () => other.ready)
  const devices = [await Client.open(here.edge.port, 'mallory'), await Client.open(other.port, 'mallory')]
  const bystander = await Client.open(other.port, 'bob')
  const at = performance.now()
  await deny('ban', { kind: 'user', id: 'mallory' }, { reason: 'spam' })
  for (const device of devices) {
    expect(await device.closedWith()).toBe(4403)
    expect(device.of('error')).toMatchObject([{ code: 'BANNED', message: 'spam' }])
  }
  // 250 ms of it are the time between two looks; the rest is room for a busy machine.
  expect(performance.now() - at).toBeLessThan(1_000)
  const third = await here.fleet.edge()
  for (const { port } of [here.edge, other, third]) {
    const again = new Client(port, { headers: { authorization: `Bearer ${token('mallory')}` } })
    expect(await again.closedWith()).toBe(4403)
    expect(again.of('connected')).toEqual([])
  }
  expect(bystander.closed).toBeUndefined()
  expect(await here.fleet.store.fleet.allow(`d${count}`)).toBe(true)
  await until('the edge has heard of it', async () => {
    const again = new Client(here.edge.port, { headers: { authorization: `Bearer ${token('mallory')}` } })
    await until('it is in, or closed', () => again.closed !== undefined || again.of('connected').length === 1)
    const isIn = again.closed === undefined
    await again.end()
    return isIn
  })
  await bystander.end()
})

test('[DE9] a kick ends one connection, or all of a user; they may come again (CN10)', async () => {
  const [first, second] = [await Client.open(here.edge.port, 'eve'), await Client.open(here.edge.port, 'eve')]
  const [connected] = first.of('connected')
  await deny('kick', { kind: 'connection', id: connected?.connectionId ?? '' })
  expect(await first.closedWith()).toBe(4403)
  expect(first.of('error')).toMatchObject([{ code: 'KICKED' }])
  expect(second.closed).toBeUndefined()
  await deny('kick', { kind: 'user', id: 'eve' })
  expect(await second.closedWith()).toBe(4403)
  const again = await Client.open(here.edge.port, 'eve')
  await again.end()
})

test('[DE10] who moves from an edge that has not heard of a kick to one that has does not escape it', async () => {
  const other = await here.fleet.edge()
  await until('a plan is there', () => other.ready)
  const witness = await Client.open(other.port, 'walter')
  // By a clock that is ahead: this machine may take its time.
  await deny('kick', { kind: 'user', id: 'walter' }, { atMs: Date.now() + 10_000 })
  expect(await witness.closedWith()).toBe(4403)
  // As the client does that is told to move: the other edge has heard of it now.
  const protocols = ['flotilla.v1', 'flotilla.resume']
  const moving = new Client(other.port, { headers: { authorization: `Bearer ${token('walter')}` }, protocols })
  expect(await moving.closedWith()).toBe(4403)
  expect(moving.of('error')).toMatchObject([{ code: 'KICKED' }])
  expect(moving.of('connected')).toEqual([])
})

test('[DE9] tokens that were issued before are revoked, those of later are good (CN10)', async () => {
  const client = await Client.open(here.edge.port, 'trent')
  await deny('revoke', { kind: 'user', id: 'trent' }, { issuedBeforeMs: Date.now() + 60_000 })
  expect(await client.closedWith()).toBe(4401)
  expect(client.closed?.reason).toBe('Token revoked')
  const again = new Client(here.edge.port, { headers: { authorization: `Bearer ${token('trent')}` } })
  expect(await again.closedWith()).toBe(4401)
})
