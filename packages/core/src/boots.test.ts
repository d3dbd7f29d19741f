import { expect, it } from 'vitest'
import { formatSlotValue } from './commit.ts'
import { consume } from './consume.ts'
import { decodeInput, encodeInput } from './entry.ts'
import type { InputMessage } from './entry.ts'
import type { MemberChange } from './member-entry.ts'
import { listMembers } from './members.ts'
import { ownSlot } from './slot-state.ts'

const [old, later, other] = ['edge-1#a', 'edge-1#b', 'edge-10#c']
const [room, user] = ['chat:acme:1', 'user:ann']
const member = (connection: string, change: MemberChange = 'in'): InputMessage => ({
  ...{ type: 'member', room, connection, user: connection, change, state: '' },
})
const kept = (connection: string): InputMessage => ({
  ...{ type: 'connection', room: user, connection, change: 'kept', replaces: '', limit: 9 },
})

/** A slot that takes one entry after the other. */
function setup(listed: readonly string[] = [later, other]) {
  const value = { epoch: 3, owner: 'shard-1#s', n: 10, token: 'c3', inc: 1, run: 'r1', cursor: '5-0', marks: new Map() }
  const state = ownSlot(7, formatSlotValue(value), [])
  const ks = new Map<string, number>()
  return {
    take: (boot: string, ...messages: InputMessage[]): void => {
      const k = (ks.get(boot) ?? 0) + 1
      ks.set(boot, k)
      const body = encodeInput({ boot, generation: 0, k }, messages)
      state.pending.push({ id: `${k}-0`, body, entry: decodeInput(body) })
      const isListed = (each: string): boolean => listed.includes(each)
      const budget = { messages: 100, bytes: 1e6 }
      consume(state, { now: 1, wallMs: 1, token: 't', alive: () => 'yes', isListed, budget })
    },
    members: () => listMembers(state.members, room).all?.map(({ user: name }) => name),
    bootOf: (connection: string) => state.members.rooms.get(room)?.connections.get(connection)?.boot,
    counted: () => Array.from(state.connections.get(user) ?? [], ([id, { boot }]) => `${id} ${boot}`),
    marks: state.marks,
  }
}

it('[LN41] what a boot says of connections and members behind its successor is left out, and is acknowledged', () => {
  const { take, members, bootOf, counted, marks } = setup()
  take(old, member('c1'))
  take(later, member('c1'), kept('c1'))
  take(old, member('c1'), member('c2'), kept('c1'), kept('c2'))
  expect([members(), bootOf('c1'), counted()]).toEqual([['c1'], later, [`c1 ${later}`]])
  expect(marks.get(old)).toEqual({ generation: 0, k: 2 })
})

it('[LN41] while the list has both boots only what the later one has told of counts against the earlier one', () => {
  const { take, members, bootOf, counted } = setup([old, later])
  take(old, member('c1'), member('c2'))
  take(later, member('c1'), kept('c1'))
  take(old, member('c1', 'out'), member('c2', 'out'), member('c3'), kept('c1'), kept('c3'))
  expect([members(), bootOf('c1'), counted()]).toEqual([['c1', 'c3'], later, [`c1 ${later}`, `c3 ${old}`]])
})

it('[LN41] a boot that no other of its edge followed is heard, listed or not', () => {
  const { take, members, counted } = setup([])
  take(old, member('c1'))
  take(other, member('c2'))
  take(old, member('c3'), kept('c1'))
  expect([members(), counted()]).toEqual([['c1', 'c2', 'c3'], [`c1 ${old}`]])
  take(later, member('c4'), kept('c1'))
  expect([members()?.length, counted()]).toEqual([4, [`c1 ${later}`]])
})
