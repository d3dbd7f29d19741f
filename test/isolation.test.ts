import fc from 'fast-check'
import { expect, it } from 'vitest'
import { frameOf, mayUse, neverUsed, operations, people } from './hostile/operations.ts'
import type { Operation } from './hostile/operations.ts'
import { createWorld } from './hostile/world.ts'

const counts = { operations: 0, heard: 0, refused: 0, twins: 0 }

/** What went wrong when this happened; undefined when all kept to their rooms. */
function faultIn(list: readonly Operation[], leaks = false): string | undefined {
  const world = createWorld({ leaks })
  for (const operation of list) {
    const { who, type } = operation
    counts.operations += 1
    if (type === 'reconnect') world.reconnect(who)
    else if (type === 'refresh') world.ask(who, { type: 'auth', id: 'x', token: String(operation.as ?? 'nobody') })
    else {
      const { room } = operation
      const answer = world.ask(who, frameOf(operation, { id: 'x', room, position: world.position(room) }))
      const fault = refusalFault(world, operation, answer)
      if (fault !== undefined) return fault
    }
  }
  counts.heard += world.heard.length
  for (const { person, room, tail } of world.heard) {
    if (!mayUse(person, room)) return `${person.userId} hears ${room}`
    const { meta, data } = JSON.parse(`{${tail}}`) as { meta: { userId: string }; data: { room: string } }
    const publisher = people.find(({ userId }) => userId === meta.userId)
    if (publisher === undefined || !mayUse(publisher, room)) return `${meta.userId} was heard in ${room}`
    if (data.room !== room) return `an event for ${data.room} was heard in ${room}`
  }
  return undefined
}

type RoomOperation = Extract<Operation, { readonly room: string }>

/** Who may not use a room is refused, and in the same words as if nobody had ever used it. */
function refusalFault(
  world: ReturnType<typeof createWorld>,
  operation: RoomOperation,
  answer: string,
): string | undefined {
  const { who, room } = operation
  const person = people[who]
  if (person === undefined || mayUse(person, room)) return undefined
  const isRefused = answer.includes('"type":"error"') || answer.includes('"error":{')
  if (!isRefused) return `${person.userId} was not refused ${operation.type} of ${room}: ${answer}`
  counts.refused += 1
  const other = neverUsed(room)
  // A name that is none is nobody's, and says so.
  if (mayUse(person, other) || !people.some((each) => mayUse(each, room))) return undefined
  if (world.events(room) > 0) counts.twins += 1
  const position = world.position(room)
  const twin = world.ask(who, frameOf(operation, { id: 'x', room: other, position }))
  const same = (text: string, name: string): string => text.replaceAll(JSON.stringify(name), '"room"')
  if (same(twin, other) !== same(answer, room)) return `${room} is refused otherwise than ${other}: ${answer}, ${twin}`
  return undefined
}

it('[FZ11] [FZ12] over 10,000 random operations nobody hears a room of another tenant or user, nor can tell whether it is there', () => {
  fc.assert(
    fc.property(operations, (list) => {
      expect(faultIn(list)).toBeUndefined()
    }),
    { numRuns: 300 },
  )
  expect(counts.operations).toBeGreaterThan(10_000)
  // Else there was nothing to be kept apart.
  expect(counts.heard).toBeGreaterThan(3_000)
  expect(counts.refused).toBeGreaterThan(5_000)
  expect(counts.twins).toBeGreaterThan(1_000)
})

it('[FZ11] a leak would be found, and made small', () => {
  const found = fc.check(
    fc.property(operations, (list) => faultIn(list, true) === undefined),
    { numRuns: 300 },
  )
  expect(found.failed).toBe(true)
  expect(found.counterexample?.[0].length).toBeLessThanOrEqual(2)
})
