import { expect, it } from 'vitest'
import { parseSlotValue, slotPrefix } from '@flotilla/core/commit'
import {
  claim,
  claimed,
  commitOk,
  following,
  keysIn,
  logEntry,
  logOf,
  roomIn,
  storedValue,
  told,
} from './contract-kit.ts'
import type { ContractSubject } from './contract-kit.ts'

const lane = 0
const [slotA, slotB] = [0, 3]
const roomA = roomIn(slotA)

export function claimContract(subject: () => ContractSubject): void {
  claimRules(subject)
  vouchRules(subject)

  it('[CL10] over a take-over the keys of a room come back from its log in pages', async () => {
    const { store } = subject()
    let value = await claimed(store, slotA, 1)
    for (let i = 0; i < 7; i += 1) {
      const next = following(slotA, value, { logs: [logOf(roomA, i * 3 + 1, [`k${i}a`, `k${i}b`, `k${i}c`])] })
      await commitOk(store, lane, next.commit)
      value = next.value
    }
    await claimed(store, slotA, 2, { owner: 'w2#b' })
    const keys: string[] = []
    let before = Infinity
    for (;;) {
      const page = await store.rooms.tail(roomA, before, 2)
      for (const entry of page) keys.push(...entry.messages.map((message) => message.key).toReversed())
      const oldest = page.at(-1)
      if (oldest === undefined) break
      expect(page.length).toBeLessThanOrEqual(2)
      before = oldest.first
    }
    const all = await keysIn(store, roomA)
    expect(all).toHaveLength(21)
    expect(keys.toReversed()).toEqual(all)
    expect(await store.rooms.tail(roomA, 4, 10)).toEqual([logEntry(1, ['k0a', 'k0b', 'k0c'])])
  })
}

function claimRules(subject: () => ContractSubject): void {
  it('[CL1] the first claim of a slot begins it', async () => {
    const { store } = subject()
    const reply = await claim(store, slotA, 5)
    expect(reply.ok).toBe(true)
    expect(reply).not.toHaveProperty('before')
    expect(await storedValue(store, slotA)).toEqual({
      epoch: 5,
      owner: 'w1#a',
      n: 1,
      token: 'c5',
      inc: 5,
      run: reply.run,
      cursor: '0-0',
      marks: new Map(),
    })
  })

  it('[CL2] a claim is taken only with a higher epoch; a lower or equal one is told the stored value', async () => {
    const { store } = subject()
    await claimed(store, slotA, 5)
    for (const epoch of [4, 5]) {
      const reply = await claim(store, slotA, epoch, { owner: 'w2#b' })
      expect(reply.ok).toBe(false)
      expect(parseSlotValue(reply.value ?? '')).toMatchObject({ epoch: 5, owner: 'w1#a' })
    }
    expect((await claim(store, slotA, 10, { owner: 'w2#b' })).ok).toBe(true)
    expect((await claim(store, slotA, 9, { owner: 'w1#a' })).ok).toBe(false)
  })

  it('[CL3] a claim keeps cursor and marks and advances n, so that no commit in flight matches any more', async () => {
    const { store } = subject()
    const marks = new Map([
      ['e1#a', { generation: 1, k: 9 }],
      ['e2#b', { generation: 3, k: 1 }],
    ])
    const one = following(slotA, await claimed(store, slotA, 1), { cursor: '17-3', marks })
    await commitOk(store, lane, one.commit)
    const reply = await claim(store, slotA, 2, { owner: 'w2#b', confirmed: 1 })
    expect(reply).toMatchObject({ ok: true, before: slotPrefix(one.value) })
    expect(await storedValue(store, slotA)).toMatchObject({
      owner: 'w2#b',
      n: one.value.n + 1,
      token: 'c2',
      inc: 1,
      cursor: '17-3',
      marks,
    })
    const late = await store.slots.commit(lane, [
      following(slotA, one.value, { logs: [logOf(roomA, 1, ['k1'])] }).commit,
    ])
    expect(late.statuses).toEqual(['fenced'])
    expect(await keysIn(store, roomA)).toEqual([])
  })

  it('[CL4] a claim that is repeated is taken and changes nothing; after a commit it is refused', async () => {
    const { store } = subject()
    await store.outboxes.open(lane, 'e1#a')
    const first = await claim(store, slotA, 1, { boots: ['e1#a'] })
    const again = await claim(store, slotA, 1, { boots: ['e1#a'] })
    expect(again).toEqual({ ok: true, run: first.run, value: first.value })
    expect(await told(store, lane, 'e1#a')).toHaveLength(1)
    await commitOk(store, lane, following(slotA, parseSlotValue(first.value ?? '')).commit)
    expect((await claim(store, slotA, 1)).ok).toBe(false)
  })

  it('[CL5] inc is kept when run is the stored one and the stored epoch not below the confirmed one', async () => {
    const { store } = subject()
    await claimed(store, slotA, 1)
    expect(await claimed(store, slotA, 2, { owner: 'w2#b', confirmed: 1 })).toMatchObject({ inc: 1 })
    expect(await claimed(store, slotA, 7, { owner: 'w1#a', confirmed: 2 })).toMatchObject({ inc: 1 })
  })

  it('[CL6] inc becomes the epoch when the stored epoch is below the confirmed one: a claim was lost', async () => {
    const { store } = subject()
    await claimed(store, slotA, 1)
    expect(await claimed(store, slotA, 9, { owner: 'w2#b', confirmed: 4 })).toMatchObject({ inc: 9, epoch: 9 })
  })

  it('[CL12] inc becomes the epoch where the run was replaced and the stored claim is of before then', async () => {
    const { store } = subject()
    const { run } = await claimed(store, slotA, 3)
    const other = `${run}0`
    const next = { owner: 'w2#b', replaced: { [other]: 99, [run]: 3 } }
    expect(await claimed(store, slotA, 4, next)).toMatchObject({ inc: 4 })
    expect(await claimed(store, slotA, 5, next)).toMatchObject({ inc: 4 })
    expect(await claimed(store, slotB, 6)).toMatchObject({ inc: 6 })
    expect(await claimed(store, slotB, 7, { replaced: { [other]: 99 } })).toMatchObject({ inc: 6 })
  })

  it('[CL12] what a claimer holds under such a run is not vouched for by its claim, though the run is the server’s', async () => {
    const { store } = subject()
    const one = following(slotA, await claimed(store, slotA, 3))
    await commitOk(store, lane, one.commit)
    const holdsAfter = { prefix: slotPrefix(one.value), inc: one.value.inc, run: one.value.run }
    const reply = await claim(store, slotA, 4, { holdsAfter, replaced: { [one.value.run]: 3 } })
    expect(parseSlotValue(reply.value ?? '')).toMatchObject({ inc: 3, epoch: 4, run: '' })
    expect(await claimed(store, slotA, 5, { owner: 'w2#b' })).toMatchObject({ inc: 5 })
  })

  it('[CL7] a claimer that holds every commit after the stored one keeps inc and leaves the run unvouched', async () => {
    const { store } = subject()
    const one = following(slotA, await claimed(store, slotA, 1))
    await commitOk(store, lane, one.commit)
    const holdsAfter = { prefix: slotPrefix(one.value), inc: 1, run: one.value.run }
    expect(await claimed(store, slotB, 9, { confirmed: 4 })).toMatchObject({ inc: 9 })
    const reply = await claim(store, slotA, 9, { confirmed: 4, holdsAfter })
    expect(parseSlotValue(reply.value ?? '')).toMatchObject({ inc: 1, epoch: 9, run: one.value.run })
  })

  it('[CL7] what it holds must follow exactly what is stored', async () => {
    const { store } = subject()
    const one = following(slotA, await claimed(store, slotA, 1))
    await commitOk(store, lane, one.commit)
    const stale = { prefix: slotPrefix({ ...one.value, n: one.value.n - 1, token: 'c1' }), inc: 1, run: one.value.run }
    const reply = await claim(store, slotA, 9, { confirmed: 4, holdsAfter: stale })
    expect(parseSlotValue(reply.value ?? '')).toMatchObject({ inc: 9 })
  })

  it('[CL13] what it holds is said of one server: under another run the claim is refused, and was taken where it was taken before', async () => {
    const { store } = subject()
    const one = following(slotA, await claimed(store, slotA, 1))
    await commitOk(store, lane, one.commit)
    const holdsAfter = { prefix: slotPrefix(one.value), inc: 1, run: one.value.run }
    const elsewhere = { ...holdsAfter, run: `${one.value.run}0` }
    const refused = await claim(store, slotA, 2, { holdsAfter: elsewhere })
    expect(refused).toMatchObject({ ok: false, run: one.value.run })
    expect(await storedValue(store, slotA)).toEqual(one.value)
    expect(await claim(store, slotA, 3, { holdsAfter })).toMatchObject({ ok: true })
    expect(await claim(store, slotA, 3, { holdsAfter: elsewhere })).toMatchObject({ ok: true })
    expect(await claim(store, slotB, 1, { holdsAfter: elsewhere })).toMatchObject({ ok: false, value: null })
  })

  it('[CL8] a changed inc is told to every live outbox as a reset, an unchanged one to none', async () => {
    const { store } = subject()
    const boots = ['e1#a', 'e2#b', 'gone#c']
    for (const boot of boots.slice(0, 2)) await store.outboxes.open(lane, boot)
    await claim(store, slotA, 1, { boots: [] })
    await claim(store, slotA, 2, { boots, confirmed: 1 })
    for (const boot of boots.slice(0, 2)) expect(await told(store, lane, boot)).toEqual([])
    await claim(store, slotA, 5, { boots, confirmed: 3 })
    for (const boot of boots.slice(0, 2))
      expect(await told(store, lane, boot)).toEqual([{ type: 'reset', slot: slotA, inc: 5 }])
    const gone = await store.outboxes.read(lane, 'gone#c', '0-0', {
      blockMs: 1,
      count: 1,
      signal: new AbortController().signal,
    })
    expect(gone.exists).toBe(false)
  })
}

function vouchRules(subject: () => ContractSubject): void {
  it('[CL9] a vouch is for all of its slots or for none', async () => {
    const { store } = subject()
    const a = await claimed(store, slotA, 1)
    const b = await claimed(store, slotB, 1)
    expect(
      (
        await store.slots.vouch(
          lane,
          new Map([
            [slotA, slotPrefix(a)],
            [slotB, slotPrefix(b)],
          ]),
        )
      ).statuses,
    ).toEqual(['ok', 'ok'])
    await claimed(store, slotB, 2, { owner: 'w2#b' })
    const mixed = await store.slots.vouch(
      lane,
      new Map([
        [slotA, slotPrefix(a)],
        [slotB, slotPrefix(b)],
        [6, slotPrefix(a)],
      ]),
    )
    expect(mixed.statuses).toEqual(['ok', 'fenced', 'unclaimed'])
    expect(await storedValue(store, slotA)).toEqual(a)
  })

  it('[CL9] a vouch that expects another run is not written', async () => {
    const { store } = subject()
    const a = await claimed(store, slotA, 1)
    const prefixes = new Map([[slotA, slotPrefix(a)]])
    const held = { holdsAfter: { prefix: slotPrefix(a), inc: 1, run: a.run }, replaced: { [a.run]: 1 } }
    const { value } = await claim(store, slotA, 2, held)
    const mine = new Map([[slotA, slotPrefix(parseSlotValue(value ?? ''))]])
    expect((await store.slots.vouch(lane, prefixes, `${a.run}0`)).statuses).toEqual(['regressed'])
    expect(await store.slots.vouch(lane, mine, `${a.run}0`)).toMatchObject({ run: a.run, statuses: ['regressed'] })
    expect(await storedValue(store, slotA)).toMatchObject({ run: '' })
    expect((await store.slots.vouch(lane, mine, a.run)).statuses).toEqual(['ok'])
    expect(await storedValue(store, slotA)).toMatchObject({ run: a.run })
  })

  it('[CL9] a vouch for an older value than the stored one, or for another, is not ok', async () => {
    const { store } = subject()
    const a = await claimed(store, slotA, 1)
    const one = following(slotA, a)
    await commitOk(store, lane, one.commit)
    expect((await store.slots.vouch(lane, new Map([[slotA, slotPrefix(a)]]))).statuses).toEqual(['conflict'])
    const other = slotPrefix({ ...one.value, token: 'other' })
    expect((await store.slots.vouch(lane, new Map([[slotA, other]]))).statuses).toEqual(['conflict'])
    const ahead = slotPrefix(following(slotA, one.value).value)
    expect((await store.slots.vouch(lane, new Map([[slotA, ahead]]))).statuses).toEqual(['regressed'])
    expect(await storedValue(store, slotA)).toEqual(one.value)
  })

  it('[CL11] values of many slots are read together with the run, null where there is none', async () => {
    const { store } = subject()
    const a = await claimed(store, slotA, 1)
    const { run, values } = await store.slots.values(lane, [slotA, slotB])
    expect(run).toBe(a.run)
    expect(parseSlotValue(values.get(slotA) ?? '')).toEqual(a)
    expect(values.get(slotB)).toBeNull()
  })
}
