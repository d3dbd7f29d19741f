import { maxPresenceStateChars } from '@flotilla/core/limits'
import { parsePolicy } from '@flotilla/core/policy-file'
import type { Policy } from '@flotilla/core/policy'
import { fixedPolicy } from '@flotilla/node/policy'
import type { Edge } from './edge.ts'
import { beforeAll, expect, test } from 'vitest'
import { Client, token, until, useReadyEdge } from '../test/fleet.ts'

const here = useReadyEdge()
let there: Edge
beforeAll(async () => {
  there = await here.fleet.edge({ memberId: 'edge-there' })
  await until('a plan is there', () => there.ready)
}, 30_000)

const presence = true
/** Names by which the last list and all changes since add up. */
function present(client: Client, room: string): string[] {
  const users = new Map<string, string>()
  for (const frame of client.of('presence').filter((each) => each.room === room)) {
    if (frame.members !== undefined) users.clear()
    for (const { userId, status } of [...(frame.members ?? []), ...(frame.joined ?? []), ...(frame.changed ?? [])])
      users.set(userId, status)
    for (const { userId } of frame.left ?? []) users.delete(userId)
  }
  return Array.from(users, ([user, status]) => `${user} ${status}`).sort()
}
const at = async (edge: Edge, user: string): Promise<Client> => Client.open(edge.port, user)

test('[PS11] who subscribes with presence is told who is there, and of who comes, shows something else and leaves, on every edge (RM2)', async () => {
  const room = 'chat:acme:p1'
  const [ann, bob] = [await at(here.edge, 'ann'), await at(there, 'bob')]
  expect(await ann.subscribe(room, { presence })).toMatchObject({ presence: true })
  await until('ann sees herself', () => present(ann, room).join() === 'ann online')
  await bob.subscribe(room)
  await until('bob is seen', () => present(ann, room).join() === 'ann online,bob online')
  expect(await bob.ask({ type: 'presence', status: 'busy', data: { page: '/deals/7' } })).toMatchObject({ type: 'ok' })
  await until('what he shows', () => present(ann, room).join() === 'ann online,bob busy')
  expect(ann.of('presence').at(-1)).toMatchObject({
    changed: [{ userId: 'bob', data: { page: '/deals/7' } }],
    count: 2,
  })
  await bob.ok({ type: 'unsubscribe', room })
  await until('he has left', () => present(ann, room).join() === 'ann online')
  expect(bob.of('presence')).toEqual([])
  // What was shown holds for rooms that come.
  await bob.subscribe(room, { presence })
  await until('he is told too', () => present(bob, room).join() === 'ann online,bob busy')
  await Promise.all([ann.end(), bob.end()])
})

test('[PS12] who comes back in time, there or here, has never left; a second device changes nothing (EV5)', async () => {
  const room = 'chat:acme:p2'
  const ann = await at(here.edge, 'ann')
  await ann.subscribe(room, { presence })
  const bob = await at(there, 'bob')
  await bob.subscribe(room)
  await bob.ok({ type: 'presence', status: 'away' })
  await until('bob is seen', () => present(ann, room).join() === 'ann online,bob away')
  const frames = ann.of('presence').length
  await bob.end()
  const again = await at(here.edge, 'bob')
  await again.subscribe(room, { presence })
  await until('he goes on as he was', () => present(again, room).join() === 'ann online,bob away')
  const tablet = await at(there, 'bob')
  await tablet.subscribe(room)
  await tablet.ok({ type: 'unsubscribe', room })
  // Behind this nothing of it can be under way.
  const cat = await at(there, 'cat')
  await cat.subscribe(room)
  await until('cat is seen', () => present(ann, room).includes('cat online'))
  expect(ann.of('presence').slice(frames)).toMatchObject([{ joined: [{ userId: 'cat' }] }])
  await Promise.all([ann.end(), again.end(), tablet.end(), cat.end()])
})

test('[PS13] the policy says where members are kept and who is told of them, and a new one holds at once', async () => {
  const parsed = (presence?: 'nobody' | { role: string }[]): Policy => {
    const types = { chat: { join: 'everyone', publish: 'everyone', ...(presence === undefined ? {} : { presence }) } }
    const result = parsePolicy({ version: 1, types })
    if (!result.ok) throw new Error(result.problems.join('\n'))
    return result.policy
  }
  const source = {
    ...fixedPolicy(parsed([{ role: 'TEACHER' }])),
    onChange: (to: (policy: Policy) => void) => (change = to),
  }
  let change: (policy: Policy) => unknown = () => undefined
  const edge = await here.fleet.edge({ memberId: 'edge-policy' }, source)
  await until('a plan is there', () => edge.ready)
  const room = 'chat:acme:p3'
  const pass = (user: string, roles: readonly string[]): object => ({
    headers: { authorization: `Bearer ${token(user, 600, 'acme', roles)}` },
  })
  const [teacher, pupil] = [new Client(edge.port, pass('tess', ['TEACHER'])), new Client(edge.port, pass('pete', []))]
  for (const each of [teacher, pupil]) await until('connected', () => each.of('connected').length === 1)
  expect(await pupil.subscribe(room, { presence })).toMatchObject({ presence: false })
  expect(await teacher.subscribe(room, { presence })).toMatchObject({ presence: true })
  await until('the teacher sees both', () => present(teacher, room).join() === 'pete online,tess online')
  change(parsed())
  const other = await at(here.edge, 'otto')
  await other.subscribe(room, { presence })
  await until('members that are not kept any more have left', () => present(other, room).join() === 'otto online')
  expect(pupil.of('presence')).toEqual([])
  await Promise.all([teacher.end(), pupil.end(), other.end()])
})

test('[PS14] too much to show, and what is no status, is refused and changes nothing', async () => {
  const ann = await at(here.edge, 'ann')
  const data = { page: 'x'.repeat(maxPresenceStateChars) }
  expect(await ann.ask({ type: 'presence', status: 'busy', data })).toMatchObject({ code: 'PAYLOAD_TOO_LARGE' })
  expect(await ann.ask({ type: 'presence', status: 'bored' })).toMatchObject({ code: 'VALIDATION_ERROR' })
  const room = 'chat:acme:p4'
  await ann.subscribe(room, { presence })
  await until('she is there', () => present(ann, room).join() === 'ann online')
  await ann.end()
})
