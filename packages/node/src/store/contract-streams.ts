import { expect, it } from 'vitest'
import { encodeOut } from '@flotilla/core/entry'
import { claimed, commitOk, following, inputOf, keysIn, logOf, now, outboxOf, roomIn } from './contract-kit.ts'
import type { ContractSubject } from './contract-kit.ts'

const lane = 0
const [slotA, slotB] = [0, 3]
const roomA = roomIn(slotA)
const edge = 'e1#a'
/** A read that would not end within a test's time by itself. */
const longMs = 60_000
const brief = { blockMs: 60, count: 10, signal: new AbortController().signal }

export function streamContract(subject: () => ContractSubject): void {
  inputRules(subject)
  blockingRules(subject)
  outboxRules(subject)
  logRules(subject)
}

function inputRules(subject: () => ContractSubject): void {
  it('[ST1] input is read in the order in which it was appended, slot by slot, after the cursor', async () => {
    const { inputs } = subject().store
    await Promise.all([...'abcde'].map((body) => inputs.append(slotA, body)))
    await inputs.append(slotB, 'x')
    const all = await inputOf(subject().store, slotA)
    expect(all.map((entry) => entry.body)).toEqual([...'abcde'])
    const rest = await inputs.read(
      lane,
      new Map([
        [slotA, all[2]?.id ?? ''],
        [slotB, '0-0'],
      ]),
      now,
    )
    expect(rest.get(slotA)?.map((entry) => entry.body)).toEqual(['d', 'e'])
    expect(rest.get(slotB)?.map((entry) => entry.body)).toEqual(['x'])
  })

  it('[ST2] a read brings so many entries of each slot at the most', async () => {
    const { inputs } = subject().store
    for (const slot of [slotA, slotB]) for (const body of 'abc') await inputs.append(slot, body)
    const found = await inputs.read(
      lane,
      new Map([
        [slotA, '0-0'],
        [slotB, '0-0'],
      ]),
      { ...now, count: 2 },
    )
    expect([...found.values()].map((entries) => entries.map((entry) => entry.body))).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ])
  })

  it('[ST51] the newest entries of a slot are read backwards, whoever has consumed them', async () => {
    const { inputs } = subject().store
    expect(await inputs.newest(slotA, 2)).toEqual([])
    for (const body of 'abc') await inputs.append(slotA, body)
    await inputs.append(slotB, 'x')
    const all = await inputOf(subject().store, slotA)
    expect(await inputs.newest(slotA, 2)).toEqual([all[2], all[1]])
    expect(await inputs.newest(slotA, 10)).toEqual(all.toReversed())
  })

  it('[ST3] maintenance trims input through the stored cursor, and only for the owner', async () => {
    const { store } = subject()
    for (const body of 'abcd') await store.inputs.append(slotA, body)
    const [, second] = await inputOf(store, slotA)
    const one = following(slotA, await claimed(store, slotA, 1), { cursor: second?.id ?? '' })
    await commitOk(store, lane, one.commit)
    await store.slots.maintain(lane, [
      { slot: slotA, prefix: '1|w2#b|', rooms: [] },
      { slot: slotB, prefix: '1|w1#a|', rooms: [] },
    ])
    expect(await inputOf(store, slotA)).toHaveLength(4)
    await store.slots.maintain(lane, [
      { slot: slotB, prefix: '1|w1#a|', rooms: [roomIn(slotB)] },
      { slot: slotA, prefix: '1|w1#a|', rooms: [roomA] },
    ])
    expect((await inputOf(store, slotA)).map((entry) => entry.body)).toEqual(['c', 'd'])
  })

  it('[ST4] an entry that cannot be processed is put aside with the reason', async () => {
    const { store, deadLetters } = subject()
    await store.inputs.deadLetter(slotA, { id: '5-1', body: 'poison' }, 'undecodable')
    await store.inputs.deadLetter(slotB, { id: '5-2', body: 'more' }, 'other')
    expect(await deadLetters(lane)).toEqual([
      { body: 'poison', reason: 'undecodable' },
      { body: 'more', reason: 'other' },
    ])
    expect(await deadLetters(1)).toEqual([])
  })
}

function blockingRules(subject: () => ContractSubject): void {
  it('[ST5] a read that waits is ended by an append', async () => {
    const { inputs } = subject().store
    const reading = inputs.read(
      lane,
      new Map([
        [slotA, '0-0'],
        [slotB, '0-0'],
      ]),
      { ...now, blockMs: longMs },
    )
    await inputs.append(slotB, 'x')
    expect((await reading).get(slotB)?.map((entry) => entry.body)).toEqual(['x'])
  })

  it('[ST6] a read that waits is ended by a wake-up, however early that comes', async () => {
    const { inputs } = subject().store
    const early = inputs.read(lane, new Map([[slotA, '0-0']]), { ...now, blockMs: longMs })
    inputs.wake(lane)
    expect(await early).toEqual(new Map())
    const later = inputs.read(lane, new Map([[slotA, '0-0']]), { ...now, blockMs: longMs })
    await inputs.append(slotB, 'another slot')
    inputs.wake(lane)
    expect(await later).toEqual(new Map())
    await inputs.append(slotA, 'x')
    expect(await inputOf(subject().store, slotA)).toHaveLength(1)
  })

  it('[ST7] a read that waits is ended by its signal, and the next one reads on', async () => {
    const { store } = subject()
    await store.outboxes.open(lane, edge)
    const abort = new AbortController()
    const waiting = { blockMs: longMs, count: 10, signal: abort.signal }
    const input = store.inputs.read(lane, new Map([[slotA, '0-0']]), waiting)
    const outbox = store.outboxes.read(lane, edge, '1-0', waiting)
    await store.inputs.append(slotB, 'x')
    abort.abort()
    expect(await input).toEqual(new Map())
    expect(await outbox).toMatchObject({ exists: true, entries: [] })
    expect(await store.inputs.read(lane, new Map([[slotA, '0-0']]), waiting)).toEqual(new Map())
    await store.inputs.append(slotA, 'y')
    expect(await inputOf(store, slotA)).toHaveLength(1)
  })

  it('[ST8] a read that waits ends by itself, empty, when its time is over', async () => {
    const { store } = subject()
    await store.outboxes.open(lane, edge)
    const before = performance.now()
    expect(await store.inputs.read(lane, new Map([[slotA, '0-0']]), brief)).toEqual(new Map())
    expect(await store.outboxes.read(lane, edge, '1-0', brief)).toMatchObject({ exists: true, entries: [] })
    const took = performance.now() - before
    expect(took).toBeGreaterThanOrEqual(2 * brief.blockMs - 5)
    expect(took).toBeLessThan(5_000)
  })

  it('[ST9] reads of several lanes, and of several outboxes of a lane, wait side by side', async () => {
    const { store } = subject()
    const boots = ['e1#a', 'e2#b']
    for (const boot of boots) await store.outboxes.open(lane, boot)
    const inputs = [0, 1, 2].map((slot) =>
      store.inputs.read(slot, new Map([[slot, '0-0']]), { ...now, blockMs: longMs }),
    )
    const outboxes = boots.map((boot) => store.outboxes.read(lane, boot, '1-0', { ...now, blockMs: longMs }))
    for (const slot of [2, 1, 0]) await store.inputs.append(slot, `s${slot}`)
    const outs = new Map(
      boots.map((boot) => [boot, encodeOut({ type: 'rewind', slot: slotA, generation: 1, from: 1 })]),
    )
    await commitOk(store, lane, following(slotA, await claimed(store, slotA, 1), { outs }).commit)
    const found = await Promise.all(inputs)
    expect(found.map((each, slot) => each.get(slot)?.[0]?.body)).toEqual(['s0', 's1', 's2'])
    for (const each of await Promise.all(outboxes)) expect(each.entries).toHaveLength(1)
  })
}

async function deliver(subject: () => ContractSubject, times: number): Promise<void> {
  const { store } = subject()
  let value = await claimed(store, slotA, 1)
  for (let i = 0; i < times; i += 1) {
    const next = following(slotA, value, {
      outs: new Map([[edge, encodeOut({ type: 'rewind', slot: slotA, generation: 1, from: i })]]),
    })
    await commitOk(store, lane, next.commit)
    value = next.value
  }
}

function outboxRules(subject: () => ContractSubject): void {
  it('[ST10] ids of an outbox are 1-0, 1-1, … without a hole; opening it again changes nothing', async () => {
    const { store } = subject()
    await store.outboxes.open(lane, edge)
    await deliver(subject, 3)
    await store.outboxes.open(lane, edge)
    expect((await outboxOf(store, lane, edge)).map((entry) => entry.id)).toEqual(['1-0', '1-1', '1-2', '1-3'])
    const rest = await store.outboxes.read(lane, edge, '1-1', { ...now, count: 1 })
    expect(rest.entries.map((entry) => entry.id)).toEqual(['1-2'])
  })

  it('[ST11] an outbox is trimmed through an id; what follows is numbered on, so that a hole shows', async () => {
    const { store } = subject()
    await store.outboxes.open(lane, edge)
    await deliver(subject, 3)
    await store.outboxes.trim(lane, edge, '1-1')
    expect((await outboxOf(store, lane, edge)).map((entry) => entry.id)).toEqual(['1-2', '1-3'])
    await store.outboxes.trim(lane, edge, '1-3')
    const value = await claimed(store, slotB, 1)
    const outs = new Map([[edge, encodeOut({ type: 'rewind', slot: slotB, generation: 1, from: 1 })]])
    await commitOk(store, lane, following(slotB, value, { outs }).commit)
    expect((await outboxOf(store, lane, edge)).map((entry) => entry.id)).toEqual(['1-4'])
  })

  it('[ST12] an outbox that is gone is told: in all lanes after its removal, and at once or after the wait to its reader', async () => {
    const { store } = subject()
    for (const each of [0, 1, 2]) await store.outboxes.open(each, edge)
    const reading = store.outboxes.read(lane, edge, '1-0', { ...now, blockMs: 300 })
    await store.outboxes.remove(edge)
    expect((await reading).exists).toBe(false)
    for (const each of [0, 1, 2]) expect((await store.outboxes.read(each, edge, '1-0', now)).exists).toBe(false)
    expect((await store.outboxes.read(lane, 'never#a', '0-0', now)).exists).toBe(false)
    await store.outboxes.open(lane, edge)
    expect((await outboxOf(store, lane, edge)).map((entry) => entry.id)).toEqual(['1-0'])
  })
}

function logRules(subject: () => ContractSubject): void {
  it('[ST13] a room is read forwards from a seq and backwards from one, by entries', async () => {
    const { store } = subject()
    const one = following(slotA, await claimed(store, slotA, 1), { logs: [logOf(roomA, 1, ['a', 'b', 'c'])] })
    const two = following(slotA, one.value, { logs: [logOf(roomA, 4, ['d', 'e'])] })
    const three = following(slotA, two.value, { logs: [logOf(roomA, 6, ['f'])] })
    for (const each of [one, two, three]) await commitOk(store, lane, each.commit)
    const firsts = (entries: readonly { first: number }[]): number[] => entries.map((entry) => entry.first)
    expect(firsts(await store.rooms.range(roomA, 0, 10))).toEqual([1, 4, 6])
    expect(firsts(await store.rooms.range(roomA, 2, 10))).toEqual([1, 4, 6])
    expect(firsts(await store.rooms.range(roomA, 3, 10))).toEqual([4, 6])
    expect(firsts(await store.rooms.range(roomA, 3, 1))).toEqual([4])
    expect(firsts(await store.rooms.range(roomA, 6, 10))).toEqual([])
    expect(firsts(await store.rooms.tail(roomA, Infinity, 2))).toEqual([6, 4])
    expect(firsts(await store.rooms.tail(roomA, 4, 10))).toEqual([1])
    expect(await store.rooms.range(roomIn(slotA, 9), 0, 10)).toEqual([])
  })

  it('[ST14] a log may lose what is below the bound, keeps the rest, always the last, and what is left begins above', async () => {
    const { store } = subject()
    let value = await claimed(store, slotA, 1)
    // Servers trim whole nodes of a stream, so there are many entries.
    for (let at = 1; at <= 451; at += 50) {
      const logs = Array.from({ length: 50 }, (_, i) => logOf(roomA, at + i, [`k${at + i}`]))
      const next = following(slotA, value, { logs })
      await commitOk(store, lane, next.commit)
      value = next.value
    }
    await commitOk(store, lane, following(slotA, value, { logs: [logOf(roomA, 501, ['last'], 501)] }).commit)
    const left = await store.rooms.range(roomA, 0, 1_000)
    expect(left[0]?.first).toBeGreaterThan(1)
    expect(left.at(-1)?.messages[0]?.key).toBe('last')
    const firsts = left.map((entry) => entry.first)
    expect(firsts).toEqual(firsts.map((_, i) => 501 - firsts.length + 1 + i))
  })

  it('[ST16] a log is not read backwards over an entry of an unknown form, or one that is not what its id says', async () => {
    const { store, writeHalf } = subject()
    const good = (first: number): string => logOf(roomA, first, ['a']).body
    const entries = [
      ['2' + good(1).slice(1), 1],
      [good(2), 4],
    ] as const
    for (const [i, [body, lastSeq]] of entries.entries()) {
      const room = roomIn(slotA, i)
      await writeHalf(room, lastSeq, body, { lane, boot: 'nobody#a', text: '' })
      const value = await claimed(store, slotA, i + 1)
      await commitOk(store, lane, following(slotA, value, { logs: [logOf(room, lastSeq + 1, ['b'])] }).commit)
      await expect(store.rooms.tail(room, Infinity, 2)).rejects.toMatchObject({
        code: 'UNREADABLE_LOG',
        message: `entry ${lastSeq}-0 in the log of room ${room} is not of a form that this version reads`,
      })
      expect(await store.rooms.tail(room, Infinity, 1)).toMatchObject([{ first: lastSeq + 1 }])
      expect((await store.rooms.range(room, lastSeq, 10)).map((entry) => entry.first)).toEqual([lastSeq + 1])
    }
  })

  it('[ST15] maintenance of a room that has no log makes none', async () => {
    const { store } = subject()
    const one = following(slotA, await claimed(store, slotA, 1), { logs: [logOf(roomA, 1, ['a'])] })
    await commitOk(store, lane, one.commit)
    await store.slots.maintain(lane, [{ slot: slotA, prefix: '1|w1#a|', rooms: [roomA, roomIn(slotA, 1)] }])
    expect(await keysIn(store, roomA)).toEqual(['a'])
    expect(await keysIn(store, roomIn(slotA, 1))).toEqual([])
  })
}
