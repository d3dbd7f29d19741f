import { expect, test } from 'vitest'
import { denialOf, endOf, indexDenials, maxDenials, noDenials, withDenial } from './denials.ts'
import type { Bearer, Denial, Denials } from './denials.ts'

const now = 1_700_000_000_000
const ada: Bearer = { userId: '42', tenantId: 'acme', tokenId: 't1', issuedAtMs: now - 1_000 }
const connection = { ...ada, connectionId: 'c1' }

const denial = (
  id: string,
  type: Denial['type'],
  kind: Denial['subject']['kind'],
  more: Partial<Denial> = {},
): Denial => {
  const subjects = { user: '42', tenant: 'acme', token: 't1', connection: 'c1' }
  return { id, type, subject: { kind, id: subjects[kind] }, untilMs: null, atMs: now, by: 'crm', ...more }
}
const those = (...denials: Denial[]): Denials => indexDenials({ version: '1', denials })
const kept = (denials: Denials, bearer = ada, at = now): string | undefined => denialOf(denials, bearer, at)?.id
const ended = (denials: Denials, before = noDenials, who = connection): string | undefined =>
  endOf({ denials, before }, who, now)?.id

test('[DE1] a ban keeps a user or a tenant out, and ends what is open', () => {
  for (const kind of ['user', 'tenant'] as const) {
    const list = those(denial('b', 'ban', kind))
    expect([kept(list), ended(list)]).toEqual(['b', 'b'])
    const other = { ...connection, userId: '43', tenantId: 'other' }
    expect([kept(list, other), ended(list, noDenials, other)]).toEqual([undefined, undefined])
    // An id of one kind is none of another.
    expect(kept(list, { userId: 'acme', tenantId: '42' })).toBeUndefined()
  }
  expect([kept(noDenials), ended(noDenials)]).toEqual([undefined, undefined])
})

test('[DE2] a kick ends what is open when an edge hears of it, and keeps nobody out', () => {
  for (const kind of ['user', 'tenant', 'connection'] as const) {
    const list = those(denial('k', 'kick', kind))
    expect([kept(list), ended(list)]).toEqual([undefined, 'k'])
    expect(ended(list, list)).toBeUndefined()
  }
  expect(
    ended(those(denial('k', 'kick', 'connection')), noDenials, { ...connection, connectionId: 'c2' }),
  ).toBeUndefined()
})

test('[DE3] a token is revoked by its id, and those of a user or tenant by when they were issued', () => {
  const byId = those(denial('r', 'revoke', 'token'))
  expect([kept(byId), ended(byId), kept(byId, { ...ada, tokenId: 't2' })]).toEqual(['r', 'r', undefined])
  for (const kind of ['user', 'tenant'] as const) {
    const list = those(denial('r', 'revoke', kind, { issuedBeforeMs: now }))
    expect([kept(list), ended(list)]).toEqual(['r', 'r'])
    expect([
      kept(list, { ...ada, issuedAtMs: now }),
      ended(list, noDenials, { ...connection, issuedAtMs: now }),
    ]).toEqual([undefined, undefined])
    // One that does not say when it was issued.
    expect(kept(list, { userId: '42', tenantId: 'acme' })).toBe('r')
  }
})

test('[DE4] what is over holds no more, from that moment on', () => {
  const list = those(denial('b', 'ban', 'user', { untilMs: now + 1 }))
  expect([kept(list, ada, now), kept(list, ada, now + 1)]).toEqual(['b', undefined])
  const both = those(denial('b', 'ban', 'user', { untilMs: now }), denial('c', 'ban', 'user'))
  expect(kept(both)).toBe('c')
})

test('[DE5] one more takes the place of the one with its id; those that are over make room for it', () => {
  const [first, over] = [denial('a', 'ban', 'user'), denial('b', 'ban', 'user', { untilMs: now })]
  expect(withDenial([first, over], denial('a', 'kick', 'user'), now)).toEqual([denial('a', 'kick', 'user')])
  const full = Array.from({ length: maxDenials }, (_, i) => denial(`d${i}`, 'ban', 'user'))
  expect(withDenial(full, denial('more', 'ban', 'user'), now)).toBeNull()
  expect(withDenial(full, denial('d3', 'ban', 'user'), now)).toHaveLength(maxDenials)
})
