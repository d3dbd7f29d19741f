import { expect, it } from 'vitest'
import { slotPrefix } from '@flotilla/core/commit'
import { claim, claimed, commitOk, eventually, following, keysIn, logOf, roomIn, storedValue } from './contract-kit.ts'
import type { ContractSubject } from './contract-kit.ts'

const lane = 0
const [slotA, slotB] = [0, 3]
const roomA = roomIn(slotA)

/** Tests that need a server which went back in time are left out where it cannot be had (contract-kit.ts). */
export function regressContract(subject: () => ContractSubject): void {
  it('[CO12] after the server went back in time commits are refused, re-applied in order and vouched for', async ({
    skip,
  }) => {
    const { store, remember } = subject()
    if (remember === undefined) return skip('this store cannot be taken back in time')
    const base = following(slotA, await claimed(store, slotA, 1), { logs: [logOf(roomA, 1, ['k1'])] })
    await commitOk(store, lane, base.commit)
    const goBack = await remember()
    const two = following(slotA, base.value, { logs: [logOf(roomA, 2, ['k2'])] })
    const three = following(slotA, two.value, { logs: [logOf(roomA, 3, ['k3'])] })
    const four = following(slotA, three.value, { logs: [logOf(roomA, 4, ['k4'])] })
    await commitOk(store, lane, two.commit)
    await commitOk(store, lane, three.commit)

    const past = await goBack()
    const refused = await past.slots.commit(lane, [four.commit])
    expect(refused.statuses).toEqual(['regressed'])
    expect(refused.run).not.toBe(base.value.run)
    expect(await keysIn(past, roomA)).toEqual(['k1'])
    const early = await past.slots.vouch(lane, new Map([[slotA, slotPrefix(four.value)]]))
    expect(early.statuses).toEqual(['regressed'])
    expect((await storedValue(past, slotA))?.run).toBe(base.value.run)

    for (const each of [two, three, four]) await commitOk(past, lane, each.commit)
    expect(await keysIn(past, roomA)).toEqual(['k1', 'k2', 'k3', 'k4'])
    const vouched = await past.slots.vouch(lane, new Map([[slotA, slotPrefix(four.value)]]))
    expect(vouched).toMatchObject({ statuses: ['ok'], run: refused.run })
    expect(await storedValue(past, slotA)).toEqual({ ...four.value, run: refused.run })
  })

  it('[CO12] two commits in flight at a server that went back: neither writes', async ({ skip }) => {
    const { store, remember } = subject()
    if (remember === undefined) return skip('this store cannot be taken back in time')
    const one = following(slotA, await claimed(store, slotA, 1), { logs: [logOf(roomA, 1, ['k1'])] })
    const goBack = await remember()
    await commitOk(store, lane, one.commit)
    const two = following(slotA, one.value, { logs: [logOf(roomA, 2, ['k2'])] })
    const three = following(slotA, two.value, { logs: [logOf(roomA, 3, ['k3'])] })
    const past = await goBack()
    const replies = await Promise.all([past.slots.commit(lane, [two.commit]), past.slots.commit(lane, [three.commit])])
    expect(replies.map((reply) => reply.statuses[0])).not.toContain('ok')
    expect(await keysIn(past, roomA)).toEqual([])
  })

  it('[CO13] a claim that the server lost leaves its owner unclaimed', async ({ skip }) => {
    const { store, remember } = subject()
    if (remember === undefined) return skip('this store cannot be taken back in time')
    await claimed(store, slotA, 1, { owner: 'w0#z' })
    const goBack = await remember()
    const a = await claimed(store, slotA, 2)
    const b = await claimed(store, slotB, 2)
    const past = await goBack()
    const reply = await past.slots.commit(lane, [following(slotA, a).commit, following(slotB, b).commit])
    expect(reply.statuses).toEqual(['unclaimed', 'unclaimed'])
  })

  it('[CL5] a claim under another run changes inc; not of a claimer that holds every commit after the stored one', async ({
    skip,
  }) => {
    const { store, remember } = subject()
    if (remember === undefined) return skip('this store cannot be taken back in time')
    const a = await claimed(store, slotA, 1)
    const b = await claimed(store, slotB, 1)
    const goBack = await remember()
    await commitOk(store, lane, following(slotA, a, { logs: [logOf(roomA, 1, ['k1'])] }).commit)
    const past = await goBack()
    const lost = await claim(past, slotB, 2, { owner: 'w2#b', confirmed: 1 })
    expect(lost.ok).toBe(true)
    expect(await storedValue(past, slotB)).toMatchObject({ inc: 2, n: b.n + 1, run: lost.run })
    const holding = await claim(past, slotA, 2, {
      confirmed: 1,
      holdsAfter: { prefix: slotPrefix(a), inc: a.inc, run: lost.run },
    })
    expect(holding).toMatchObject({ ok: true, before: slotPrefix(a) })
    // It vouches for the new run only when it has applied what it holds.
    expect(await storedValue(past, slotA)).toMatchObject({ epoch: 2, inc: a.inc, run: a.run })
  })

  it('[CO14] runs are told at once, and again when a reply shows another', async ({ skip }) => {
    const { store, remember } = subject()
    const seen: string[] = []
    const stop = store.watchRuns((primary, run) => {
      if (primary === store.primaryOf(lane)) seen.push(run)
    })
    const value = await claimed(store, slotA, 1)
    await eventually('the run is told', () => seen.includes(value.run))
    stop()
    if (remember === undefined) return skip('this store cannot be taken back in time')
    const goBack = await remember()
    const past = await goBack()
    const later: string[] = []
    past.watchRuns((primary, run) => {
      if (primary === past.primaryOf(lane)) later.push(run)
    })
    const { run } = await past.slots.values(lane, [slotA])
    expect(run).not.toBe(value.run)
    await eventually('the other run is told', () => later.includes(run))
    expect(seen).not.toContain(run)
  })
}
