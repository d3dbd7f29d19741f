import fc from 'fast-check'

/** Who takes part. Ids are nobody's twice, but look like those of others, and like names of rooms. */
export interface Person {
  readonly userId: string
  readonly tenantId?: string
  readonly permissions?: readonly string[]
}
/** Of their own tenant, and of what is everybody's, they may do everything. */
const permissions = ['tenant.publish', 'all.publish']
const all: readonly Person[] = [
  { userId: 'alice', tenantId: 'acme' },
  { userId: 'bob', tenantId: 'acme' },
  { userId: 'carol', tenantId: 'globex' },
  { userId: 'acme', tenantId: 'globex' },
  { userId: 'Alice', tenantId: 'ACME' },
  { userId: 'al\u0456ce', tenantId: 'acm\u0435' },
  { userId: 'toString', tenantId: 'undefined' },
  { userId: 'erin' },
]
export const people: readonly Person[] = all.map((person) => ({ ...person, permissions }))

/** Whose room it is, from its name alone and by the documents, not by the policy's code. Both to hear and to publish. */
export function mayUse({ userId, tenantId }: Person, room: string): boolean {
  const parts = room.split(':')
  if (parts.length < 2 || parts.length > 3 || parts.includes('')) return false
  if (/[\u0000-\u001f\u007f]/.test(room) || !/^[a-z][a-z0-9_-]*:/.test(room)) return false
  const [type, first] = parts
  if (parts.length === 3) return type !== 'user' && type !== 'tenant' && type !== 'workspace' && first === tenantId
  return type === 'public' || (type === 'user' && first === userId) || (type === 'tenant' && first === tenantId)
}

/** What is done to a room. `since`: 0 without, 1 from its beginning, 2 from where it is, 3 from nowhere. */
export type RoomOperation =
  | { readonly type: 'subscribe'; readonly room: string; readonly since: number; readonly filtered: boolean }
  | { readonly type: 'unsubscribe'; readonly room: string }
  | { readonly type: 'history'; readonly room: string; readonly since: number }
  | { readonly type: 'publish'; readonly room: string; readonly ephemeral: boolean; readonly key: string }
  | { readonly type: 'resume'; readonly room: string; readonly beside: string; readonly since: number }
export type Operation = { readonly who: number } & (
  | RoomOperation
  /** A token of somebody: of oneself, of another one, or of nobody. */
  | { readonly type: 'refresh'; readonly as: number | null }
  | { readonly type: 'reconnect' }
)

const users = people.map(({ userId }) => userId)
const tenants = people.flatMap(({ tenantId }) => tenantId ?? [])
const odd = [
  '__proto__',
  'constructor',
  'null',
  '*',
  ' acme',
  'acme ',
  'acme\u0301',
  '\uff41cme',
  'acme%3A1',
  'acme\u001fx',
  '',
]
const type = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('public', 'user', 'tenant', 'deal') },
  { weight: 1, arbitrary: fc.constantFrom('constructor', '__proto__', 'DEAL', 'users', 'tenant ', 'Tenant', '') },
)
const part = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...users) },
  { weight: 5, arbitrary: fc.constantFrom(...tenants) },
  { weight: 1, arbitrary: fc.constantFrom(...odd) },
)
const last = fc.oneof({ weight: 4, arbitrary: fc.constantFrom('1', '2') }, { weight: 2, arbitrary: part })
const anyRoom = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(type, part).map((parts) => parts.join(':')) },
  { weight: 6, arbitrary: fc.tuple(type, part, last).map((parts) => parts.join(':')) },
  { weight: 1, arbitrary: fc.tuple(type, part, last, last).map((parts) => parts.join(':')) },
)

const who = fc.nat(people.length - 1)
const since = fc.nat(3)
const roomsOf = (person: Person | undefined): readonly string[] => {
  // Who has no tenant tries that of a tenant which is called so.
  const { userId = '', tenantId } = person ?? {}
  return [`user:${userId}`, `tenant:${tenantId}`, `deal:${tenantId}:1`, `deal:${tenantId}:2`, 'public:1']
}
/** Half of all goes where it may, or nobody would hear anything; much of the rest where others are. */
const place = fc
  .record({ who, other: who, kind: fc.nat(9), pick: fc.nat(4), room: anyRoom })
  .map(({ who: one, other, kind, pick, room }) => {
    const rooms = kind < 8 ? roomsOf(people[kind < 5 ? one : other]) : []
    return { who: one, room: rooms[pick] ?? room }
  })
const weighted = <T>(weight: number, arbitrary: fc.Arbitrary<T>): fc.WeightedArbitrary<T> => ({ weight, arbitrary })
const at = <T extends object>(more: fc.Arbitrary<T>) =>
  fc.tuple(place, more).map(([{ who: one, room }, rest]) => ({ who: one, room, ...rest }))
const key = fc.constantFrom('k1', 'k2', 'k3', 'k4', 'k5')
const operation: fc.Arbitrary<Operation> = fc.oneof(
  weighted(6, at(fc.record({ type: fc.constant('subscribe' as const), since, filtered: fc.boolean() }))),
  weighted(2, at(fc.record({ type: fc.constant('unsubscribe' as const) }))),
  weighted(2, at(fc.record({ type: fc.constant('history' as const), since }))),
  weighted(8, at(fc.record({ type: fc.constant('publish' as const), ephemeral: fc.boolean(), key }))),
  weighted(3, at(fc.record({ type: fc.constant('resume' as const), beside: anyRoom, since }))),
  weighted(1, fc.record({ type: fc.constant('refresh' as const), who, as: fc.option(who) })),
  weighted(1, fc.record({ type: fc.constant('reconnect' as const), who })),
)
/** What happens in one run, in this order. */
export const operations = fc.array(operation, { minLength: 1, maxLength: 200, size: 'max' })

/** The same name for something that nobody has ever used: its last part is another. */
export function neverUsed(name: string): string {
  const parts = name.split(':')
  return [...parts.slice(0, -1), parts.at(-1) === '' ? '' : 'never-used'].join(':')
}

/** The frame of an operation. `position` is what a `since` may name. */
export function frameOf(
  operation: RoomOperation,
  { id, room, position }: { readonly id: string; readonly room: string; readonly position: object | undefined },
): object {
  const from = (choice: number): object => {
    if (choice === 0 || position === undefined) return {}
    if (choice === 2) return { since: position }
    return { since: { ...position, seq: choice === 1 ? 0 : 999_999 } }
  }
  switch (operation.type) {
    case 'subscribe':
      return {
        type: 'subscribe',
        id,
        room,
        ...from(operation.since),
        ...(operation.filtered ? { filter: { a: 1 } } : {}),
      }
    case 'unsubscribe':
      return { type: 'unsubscribe', id, room }
    case 'history':
      return { type: 'history', id, room, ...(operation.since === 0 ? {} : { before: operation.since }) }
    case 'publish': {
      const more = operation.ephemeral ? { ephemeral: true } : { key: operation.key }
      return { type: 'publish', id, room, event: 'e', data: { a: 1, room }, ...more }
    }
    case 'resume':
      return { type: 'resume', id, rooms: [{ room, ...from(operation.since) }] }
  }
}
