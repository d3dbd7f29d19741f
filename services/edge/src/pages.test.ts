import { expect, test } from 'vitest'
import { Client, until, useReadyEdge } from '../test/fleet.ts'
import type { Of } from '../test/fleet.ts'

const here = useReadyEdge()
let count = 0

async function page(client: Client, room: string, range: object = {}): Promise<Of<'history'>> {
  const id = `h${(count += 1)}`
  client.send({ type: 'history', id, room, ...range })
  const found = (): Of<'history'> | undefined => client.of('history').find((frame) => frame.id === id)
  await until('a page', () => found() !== undefined || client.of('error').some((frame) => frame.id === id))
  const answer = found()
  if (answer === undefined) throw new Error(JSON.stringify(client.of('error').at(-1)))
  return answer
}
const seqs = (frame: Of<'history'>): number[] => frame.events.map(({ seq }) => seq)

test('[HI5] a client pages through what a room keeps both ways, without what was kept from it, and goes on from there', async () => {
  const room = 'public:pages'
  const [alice, bob] = [await Client.open(here.edge.port), await Client.open(here.edge.port, 'bob')]
  for (let n = 1; n <= 10; n += 1) await alice.publish(room, n, n === 8 ? { except: ['bob'] } : {})
  const newest = await page(bob, room, { limit: 4 })
  expect([seqs(newest), newest.first, newest.last]).toEqual([[7, 9, 10], 7, 10])
  expect(newest.events[0]).toMatchObject({ event: 'e', data: 7, meta: { userId: 'alice' } })
  const before = await page(bob, room, { before: newest.first, limit: 4 })
  expect(seqs(before)).toEqual([3, 4, 5, 6])
  const after = await page(alice, room, { after: before.last, limit: 3 })
  expect(seqs(after)).toEqual([7, 8, 9])
  const { epoch = '', last } = after
  const resumed = await bob.subscribe(room, { since: { epoch, seq: last } })
  expect(resumed).toMatchObject({ recovered: true, missed: 1 })
  expect(await page(bob, 'public:nobody-was-here')).toMatchObject({ first: null, last: null, events: [] })
  await expect(page(bob, 'user:alice')).rejects.toThrow('FORBIDDEN')
  await Promise.all([alice.end(), bob.end()])
})
