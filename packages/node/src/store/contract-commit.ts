import { expect, it } from 'vitest'
import type { OutAppend } from '@flotilla/core/commit'
import { encodeOut } from '@flotilla/core/entry'
import { claimed, commitOk, following, keysIn, logOf, outboxOf, roomIn, storedValue, told } from './contract-kit.ts'
import type { ContractSubject } from './contract-kit.ts'

const edge = 'e1#a'
const lane = 0
/** Two slots of lane 0. */
const [slotA, slotB] = [0, 3]
const roomA = roomIn(slotA)
const roomB = roomIn(slotB)
/** The events of the commit's first log. */
const firstLog: OutAppend = { records: '', logs: [0] }

export function commitContract(subject: () => ContractSubject): void {
  it('[CO1] a commit writes logs, outboxes, interest and the value as one', async () => {
    const { store } = subject()
    await store.outboxes.open(lane, edge)
    const value = await claimed(store, slotA, 1)
    const { commit, value: next } = following(slotA, value, {
      logs: [logOf(roomA, 1, ['k1', 'k2']), logOf(roomIn(slotA, 1), 1, ['x'])],
      outs: new Map([[edge, firstLog]]),
      interest: [{ room: roomA, boot: edge, on: true }],
      cursor: '5-1',
      marks: new Map([['e1#a', { generation: 2, k: 7 }]]),
    })
    const reply = await commitOk(store, lane, commit)
    expect(reply).toMatchObject({ run: value.run, missing: [] })
    expect(await storedValue(store, slotA)).toEqual(next)
    expect(await keysIn(store, roomA)).toEqual(['k1', 'k2'])
    expect(await keysIn(store, roomIn(slotA, 1))).toEqual(['x'])
    expect(await store.rooms.interest(slotA)).toEqual([{ room: roomA, boot: edge }])
    expect(await told(store, lane, edge)).toMatchObject([{ type: 'events', first: 1 }])
  })

  it('[CO15] a commit that is meant for another run writes nothing, and the reply tells the run', async () => {
    const { store } = subject()
    const value = await claimed(store, slotA, 1)
    const { commit } = following(slotA, value, { logs: [logOf(roomA, 1, ['k1'])] })
    const refused = await store.slots.commit(lane, [commit], 'another:run')
    expect(refused).toMatchObject({ run: value.run, statuses: ['regressed'] })
    expect(await keysIn(store, roomA)).toEqual([])
    expect(await storedValue(store, slotA)).toEqual(value)
    expect((await store.slots.commit(lane, [commit], value.run)).statuses).toEqual(['ok'])
    expect(await keysIn(store, roomA)).toEqual(['k1'])
  })

  it('[CO2] one fenced slot of several: nothing is written, and the statuses say which; without it the rest is written', async () => {
    const { store } = subject()
    await store.outboxes.open(lane, edge)
    const a = await claimed(store, slotA, 1)
    const b = await claimed(store, slotB, 1)
    await claimed(store, slotB, 2, { owner: 'w2#b' })
    const first = following(slotA, a, { logs: [logOf(roomA, 1, ['k1'])], outs: new Map([[edge, firstLog]]) })
    const second = following(slotB, b, { logs: [logOf(roomB, 1, ['k1'])] })
    const refused = await store.slots.commit(lane, [first.commit, second.commit])
    expect(refused.statuses).toEqual(['ok', 'fenced'])
    expect(await keysIn(store, roomA)).toEqual([])
    expect(await keysIn(store, roomB)).toEqual([])
    expect(await told(store, lane, edge)).toEqual([])
    expect(await storedValue(store, slotA)).toEqual(a)
    await commitOk(store, lane, first.commit)
    expect(await keysIn(store, roomA)).toEqual(['k1'])
    expect(await keysIn(store, roomB)).toEqual([])
  })

  it('[CO3] a commit that is repeated is ok and doubles nothing in a log', async () => {
    const { store } = subject()
    await store.outboxes.open(lane, edge)
    const value = await claimed(store, slotA, 1)
    const { commit, value: next } = following(slotA, value, {
      logs: [logOf(roomA, 1, ['k1'])],
      outs: new Map([[edge, firstLog]]),
    })
    await commitOk(store, lane, commit)
    await commitOk(store, lane, commit)
    expect(await keysIn(store, roomA)).toEqual(['k1'])
    expect(await storedValue(store, slotA)).toEqual(next)
    for (const record of await told(store, lane, edge))
      expect(record).toMatchObject({ type: 'events', epoch: '1.1', first: 1 })
  })

  it('[CO3] a commit is recognised after a later one of its owner too', async () => {
    const { store } = subject()
    const one = following(slotA, await claimed(store, slotA, 1), { logs: [logOf(roomA, 1, ['k1'])] })
    const two = following(slotA, one.value, { logs: [logOf(roomA, 2, ['k2'])] })
    await commitOk(store, lane, one.commit)
    await commitOk(store, lane, two.commit)
    await commitOk(store, lane, one.commit)
    expect(await storedValue(store, slotA)).toEqual(two.value)
    expect(await keysIn(store, roomA)).toEqual(['k1', 'k2'])
  })

  it('[CO4] a commit of which some slots were written before writes the others', async () => {
    const { store } = subject()
    const a = following(slotA, await claimed(store, slotA, 1), { logs: [logOf(roomA, 1, ['k1'])] })
    const b = following(slotB, await claimed(store, slotB, 1), { logs: [logOf(roomB, 1, ['k1'])] })
    await commitOk(store, lane, a.commit)
    await commitOk(store, lane, a.commit, b.commit)
    expect(await storedValue(store, slotA)).toEqual(a.value)
    expect(await storedValue(store, slotB)).toEqual(b.value)
    expect(await keysIn(store, roomA)).toEqual(['k1'])
    expect(await keysIn(store, roomB)).toEqual(['k1'])
  })

  it('[CO4] a mixed commit with a fenced slot says ok, ok and fenced, and writes nothing', async () => {
    const { store } = subject()
    const slotC = 6
    const a = following(slotA, await claimed(store, slotA, 1))
    const b = following(slotB, await claimed(store, slotB, 1), { logs: [logOf(roomB, 1, ['k1'])] })
    const c = following(slotC, await claimed(store, slotC, 1))
    await commitOk(store, lane, a.commit)
    await claimed(store, slotC, 2, { owner: 'w2#b' })
    const reply = await store.slots.commit(lane, [a.commit, b.commit, c.commit])
    expect(reply.statuses).toEqual(['ok', 'ok', 'fenced'])
    expect(await keysIn(store, roomB)).toEqual([])
  })

  it('[CO5] a commit that was cut short half-way is repeated whole: its log entry counts as written', async () => {
    const { store, writeHalf } = subject()
    await store.outboxes.open(lane, edge)
    const value = await claimed(store, slotA, 1)
    const log = logOf(roomA, 1, ['k1', 'k2'])
    const { commit, value: next } = following(slotA, value, {
      logs: [log, logOf(roomIn(slotA, 1), 1, ['x'])],
      outs: new Map([[edge, firstLog]]),
    })
    await writeHalf(roomA, log.lastSeq, log.body, { lane, boot: edge, text: log.body })
    expect(await storedValue(store, slotA)).toEqual(value)
    await commitOk(store, lane, commit)
    expect(await keysIn(store, roomA)).toEqual(['k1', 'k2'])
    expect(await keysIn(store, roomIn(slotA, 1))).toEqual(['x'])
    expect(await storedValue(store, slotA)).toEqual(next)
    // The outbox may have it twice, under ids without a hole: readers know it by (epoch, first).
    expect((await outboxOf(store, lane, edge)).map((entry) => entry.id)).toEqual(['1-0', '1-1', '1-2'])
  })

  it('[CO17] another entry where one of a commit belongs is a conflict: it stays, and the slot is not written', async () => {
    const { store, writeHalf } = subject()
    await store.outboxes.open(lane, edge)
    const outs = new Map([[edge, firstLog]])
    const a = following(slotA, await claimed(store, slotA, 1), { logs: [logOf(roomA, 1, ['mine'])], outs })
    const b = following(slotB, await claimed(store, slotB, 1), { logs: [logOf(roomB, 1, ['k1'])] })
    const before = await storedValue(store, slotA)
    await writeHalf(roomA, 1, logOf(roomA, 1, ['other']).body, { lane, boot: 'nobody#a', text: '' })
    expect(await store.slots.commit(lane, [b.commit, a.commit])).toMatchObject({ statuses: ['ok', 'conflict'] })
    expect(await storedValue(store, slotA)).toEqual(before)
    expect(await keysIn(store, roomA)).toEqual(['other'])
    expect(await told(store, lane, edge)).toEqual([])
    await commitOk(store, lane, b.commit)
    expect(await keysIn(store, roomB)).toEqual(['k1'])
    expect(await storedValue(store, slotB)).toEqual(b.value)
  })

  it('[CO17] an entry behind where one of a commit belongs is a conflict too', async () => {
    const { store, writeHalf } = subject()
    const value = await claimed(store, slotA, 1)
    await writeHalf(roomA, 5, 'of an unknown form', { lane, boot: 'nobody#a', text: '' })
    for (const first of [4, 5]) {
      const { commit } = following(slotA, value, { logs: [logOf(roomA, first, ['k'])] })
      expect((await store.slots.commit(lane, [commit])).statuses).toEqual(['conflict'])
    }
    expect(await storedValue(store, slotA)).toEqual(value)
    const next = following(slotA, value, { logs: [logOf(roomA, 6, ['k'])] })
    await commitOk(store, lane, next.commit)
  })

  it('[CO6] of two commits in flight of which the first is fenced, the second writes nothing', async () => {
    const { store } = subject()
    const a = await claimed(store, slotA, 1)
    const b = await claimed(store, slotB, 1)
    await claimed(store, slotB, 2, { owner: 'w2#b' })
    const one = following(slotA, a, { logs: [logOf(roomA, 1, ['k1'])] })
    const two = following(slotA, one.value, { logs: [logOf(roomA, 2, ['k2'])] })
    const [first, second] = await Promise.all([
      store.slots.commit(lane, [one.commit, following(slotB, b).commit]),
      store.slots.commit(lane, [two.commit]),
    ])
    expect(first.statuses).toEqual(['ok', 'fenced'])
    expect(second.statuses).toEqual(['regressed'])
    expect(await keysIn(store, roomA)).toEqual([])
    expect(await storedValue(store, slotA)).toEqual(a)
    await commitOk(store, lane, one.commit)
    await commitOk(store, lane, two.commit)
    expect(await keysIn(store, roomA)).toEqual(['k1', 'k2'])
  })

  it('[CO6] two commits in flight are both written, in order', async () => {
    const { store } = subject()
    const one = following(slotA, await claimed(store, slotA, 1), { logs: [logOf(roomA, 1, ['k1'])] })
    const two = following(slotA, one.value, { logs: [logOf(roomA, 2, ['k2'])] })
    const replies = await Promise.all([store.slots.commit(lane, [one.commit]), store.slots.commit(lane, [two.commit])])
    expect(replies.map((reply) => reply.statuses)).toEqual([['ok'], ['ok']])
    expect(await storedValue(store, slotA)).toEqual(two.value)
  })

  it('[CO7] the same n under another token is a conflict and writes nothing', async () => {
    const { store } = subject()
    const value = await claimed(store, slotA, 1)
    const mine = following(slotA, value, { token: 'tA', logs: [logOf(roomA, 1, ['k1'])] })
    const twin = following(slotA, value, { token: 'tB', logs: [logOf(roomA, 1, ['k2'])] })
    await commitOk(store, lane, mine.commit)
    const reply = await store.slots.commit(lane, [twin.commit])
    expect(reply.statuses).toEqual(['conflict'])
    const afterTwin = following(slotA, twin.value)
    expect((await store.slots.commit(lane, [afterTwin.commit])).statuses).toEqual(['conflict'])
    expect(await keysIn(store, roomA)).toEqual(['k1'])
    expect(await storedValue(store, slotA)).toEqual(mine.value)
  })

  it('[CO7] a slot without a value, or under a lower epoch, is unclaimed', async () => {
    const { store } = subject()
    const a = await claimed(store, slotA, 1)
    const reply = await store.slots.commit(lane, [
      following(slotA, { ...a, epoch: 2 }).commit,
      following(slotB, a).commit,
    ])
    expect(reply.statuses).toEqual(['unclaimed', 'unclaimed'])
  })

  it('[CO7] a prefix is compared to its end: owner and token of which one begins with the other differ', async () => {
    const { store } = subject()
    const value = await claimed(store, slotA, 1, { owner: 'w1#ab' })
    expect((await store.slots.commit(lane, [following(slotA, { ...value, owner: 'w1#a' }).commit])).statuses).toEqual([
      'fenced',
    ])
    const one = following(slotA, value, { token: 't12' })
    await commitOk(store, lane, one.commit)
    expect((await store.slots.commit(lane, [following(slotA, { ...one.value, token: 't1' }).commit])).statuses).toEqual(
      ['conflict'],
    )
  })

  it('[CO16] each boot is told its records and then the events of its logs, of several slots in one entry', async () => {
    const { store } = subject()
    const boots = ['e1#a', 'e2#a', 'e3#a'] as const
    for (const boot of boots) await store.outboxes.open(lane, boot)
    const rooms = [roomA, roomIn(slotA, 1), roomIn(slotA, 2)]
    const logs = rooms.map((room, i) => logOf(room, 1, [`a${i}`]))
    const head = (room: string): string => encodeOut({ type: 'head', room, epoch: '1.1', head: 0 })
    const a = following(slotA, await claimed(store, slotA, 1), {
      logs,
      outs: new Map([
        ['e1#a', { records: head('x'), logs: [0, 1, 2] }],
        ['e2#a', { records: '', logs: [0, 2] }],
        ['e3#a', { records: head('y'), logs: [] }],
      ]),
    })
    const b = following(slotB, await claimed(store, slotB, 1), {
      logs: [logOf(roomB, 1, ['b0', 'b1'])],
      outs: new Map([
        ['e1#a', { records: head('z'), logs: [0] }],
        ['e2#a', { records: '', logs: [0] }],
      ]),
    })
    await commitOk(store, lane, a.commit, b.commit)
    const names = async (boot: string): Promise<string[]> =>
      (await told(store, lane, boot)).flatMap((record) => {
        if (record.type === 'events') return [`${record.room}:${record.events.length}`]
        return record.type === 'head' ? [record.room] : []
      })
    const events = rooms.map((room) => `${room}:1`)
    expect(new Set(await names('e1#a'))).toEqual(new Set(['x', 'z', ...events, `${roomB}:2`]))
    expect(await names('e2#a')).toEqual([events[0], events[2], `${roomB}:2`])
    expect(await names('e3#a')).toEqual(['y'])
    expect(await keysIn(store, roomB)).toEqual(['b0', 'b1'])
  })

  it('[CO8] an outbox that does not exist is reported, not created; the commit is written', async () => {
    const { store } = subject()
    await store.outboxes.open(lane, edge)
    const value = await claimed(store, slotA, 1)
    const outs = new Map([
      ['gone#a', firstLog],
      [edge, firstLog],
    ])
    const reply = await commitOk(store, lane, following(slotA, value, { logs: [logOf(roomA, 1, ['k1'])], outs }).commit)
    expect(reply.missing).toEqual(['gone#a'])
    expect(
      await store.outboxes.read(lane, 'gone#a', '0-0', { blockMs: 1, count: 1, signal: new AbortController().signal }),
    ).toMatchObject({ exists: false })
    expect(await told(store, lane, edge)).toHaveLength(1)
    expect(await keysIn(store, roomA)).toEqual(['k1'])
  })

  it('[CO9] what several slots of a commit tell one boot arrives whole', async () => {
    const { store } = subject()
    await store.outboxes.open(lane, edge)
    const a = following(slotA, await claimed(store, slotA, 1), {
      outs: new Map([[edge, encodeOut({ type: 'rewind', slot: slotA, generation: 1, from: 1 })]]),
    })
    const b = following(slotB, await claimed(store, slotB, 1), {
      outs: new Map([[edge, encodeOut({ type: 'rewind', slot: slotB, generation: 1, from: 1 })]]),
    })
    await commitOk(store, lane, a.commit, b.commit)
    expect(await told(store, lane, edge)).toMatchObject([{ slot: slotA }, { slot: slotB }])
  })

  it('[CO10] interest is switched on and off per room and boot, and listed per slot', async () => {
    const { store } = subject()
    const on = (room: string, boot: string) => ({ room, boot, on: true })
    const one = following(slotA, await claimed(store, slotA, 1), {
      interest: [on(roomA, 'e1#a'), on(roomA, 'e2#a'), on(roomIn(slotA, 1), 'e1#a')],
    })
    const b = following(slotB, await claimed(store, slotB, 1), { interest: [on(roomB, 'e1#a')] })
    await commitOk(store, lane, one.commit, b.commit)
    const off = [
      { room: roomA, boot: 'e1#a', on: false },
      { room: roomIn(slotA, 2), boot: 'e1#a', on: false },
    ]
    await commitOk(store, lane, following(slotA, one.value, { interest: off }).commit)
    const listed = await store.rooms.interest(slotA)
    expect(listed).toHaveLength(2)
    expect(listed).toEqual(
      expect.arrayContaining([
        { room: roomA, boot: 'e2#a' },
        { room: roomIn(slotA, 1), boot: 'e1#a' },
      ]),
    )
    expect(await store.rooms.interest(slotB)).toEqual([{ room: roomB, boot: 'e1#a' }])
  })

  it('[CO18] connections of a user are kept beside interest, each by its own name', async () => {
    const { store } = subject()
    const who = [
      { room: roomA, boot: 'e1#a' },
      { room: roomA, boot: 'e1#a', connection: 'e1.a.1', after: '', inc: 1 },
      { room: roomA, boot: 'e1#a', connection: 'e1.a.2', after: 'e1.a.1', inc: 1 },
    ]
    const interest = who.map((each) => ({ ...each, on: true }))
    const one = following(slotA, await claimed(store, slotA, 1), { interest })
    await commitOk(store, lane, one.commit)
    expect(await store.rooms.interest(slotA)).toHaveLength(3)
    expect(await store.rooms.interest(slotA)).toEqual(expect.arrayContaining(who))
    const off = who.slice(0, 2).map((each) => ({ ...each, on: false }))
    await commitOk(store, lane, following(slotA, one.value, { interest: off }).commit)
    expect(await store.rooms.interest(slotA)).toEqual(who.slice(2))
  })

  it('[CO11] texts of any characters come back as they were', async () => {
    const { store } = subject()
    const key = 'ключ-"☃"-\u{1F600}|,=\\'
    const value = await claimed(store, slotA, 1)
    await commitOk(store, lane, following(slotA, value, { logs: [logOf(roomA, 1, [key])] }).commit)
    expect(await keysIn(store, roomA)).toEqual([key])
  })
}
