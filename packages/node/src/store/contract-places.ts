import { expect, it } from 'vitest'
import { claimed, contractShape, eventually, following, logOf, roomIn } from './contract-kit.ts'
import type { ContractSubject } from './contract-kit.ts'

const never = new AbortController().signal

export function placeContract(subject: () => ContractSubject): void {
  it('[ST70] a place is kept by whoever knows its last version, and by nobody else', async () => {
    const { places } = subject().store
    expect(await places.read('crm')).toBeNull()
    expect([await places.keep('crm', 1, 'a'), await places.keep('crm', 0, 'a')]).toEqual([false, true])
    expect(await places.keep('crm', 0, 'b')).toBe(false)
    expect(await places.read('crm')).toEqual({ version: 1, text: 'a' })
    const both = await Promise.all([places.keep('crm', 1, 'b'), places.keep('crm', 1, 'c')])
    expect(both.filter(Boolean)).toHaveLength(1)
    expect(await places.read('crm')).toEqual({ version: 2, text: both[0] ? 'b' : 'c' })
    expect(await places.read('other')).toBeNull()
  })

  it('[ST71] what was put aside is counted, and read newest first', async () => {
    const { places } = subject().store
    expect(await places.aside('crm', 10)).toEqual({ total: 0, entries: [] })
    for (const body of ['one', 'two', 'three']) await places.putAside('crm', body)
    const { total, entries } = await places.aside('crm', 2)
    expect([total, entries.map(({ body }) => body)]).toEqual([3, ['three', 'two']])
  })

  it('[ST72] several logs of a lane are followed by one read, which waits for the next entry of any', async () => {
    const { store } = subject()
    const [slotA, slotB] = [0, contractShape.lanes]
    const [a, b] = [roomIn(slotA), roomIn(slotB)]
    const of = { blockMs: 0, count: 10, signal: never }
    const after = (first: number, second: number) => new Map([a, b].map((room, i) => [room, i === 0 ? first : second]))
    expect((await store.rooms.follow(0, after(0, 0), of)).size).toBe(0)
    const heldA = await claimed(store, slotA, 1)
    const heldB = await claimed(store, slotB, 1)
    const first = following(slotA, heldA, { logs: [logOf(a, 1, ['k1', 'k2', 'k3'])] })
    const waiting = store.rooms.follow(0, after(0, 0), { ...of, blockMs: 10_000 })
    await store.slots.commit(0, [first.commit])
    expect([...(await waiting)].map(([room, entries]) => [room, entries.map((entry) => entry.first)])).toEqual([
      [a, [1]],
    ])
    await store.slots.commit(0, [following(slotA, first.value, { logs: [logOf(a, 4, ['k4'])] }).commit])
    await store.slots.commit(0, [following(slotB, heldB, { logs: [logOf(b, 1, ['x'])] }).commit])
    const firsts = async (positions: ReadonlyMap<string, number>, count = 10) => {
      const found = await store.rooms.follow(0, positions, { ...of, count })
      return Object.fromEntries([...found].map(([room, entries]) => [room, entries.map((entry) => entry.first)]))
    }
    // In the middle of an entry it is that entry that comes first.
    expect(await firsts(after(2, 0))).toEqual({ [a]: [1, 4], [b]: [1] })
    expect(await firsts(after(0, 0), 1)).toEqual({ [a]: [1], [b]: [1] })
    expect(await firsts(after(3, 1))).toEqual({ [a]: [4] })
    const abort = new AbortController()
    const stopped = store.rooms.follow(0, after(4, 1), { blockMs: 60_000, count: 1, signal: abort.signal })
    abort.abort()
    expect((await stopped).size).toBe(0)
    await eventually('the store answers on', async () => (await store.rooms.tail(a, Infinity, 1)).length === 1)
  })
}
