import { listsEvent } from './event-pattern.ts'
import type { Outgoing } from './outgoing.ts'
import type { RateClasses } from './rates.ts'
import { parseRoomName } from './room-name.ts'
import type { RoomName } from './room-name.ts'

/** Who is asking: what authentication vouched for. */
export interface Identity {
  readonly userId: string
  readonly tenantId?: string | undefined
  readonly roles?: readonly string[] | undefined
  readonly permissions?: readonly string[] | undefined
}
/** `presence`: to be told who the members are. */
export type RoomAction = 'join' | 'publish' | 'presence'
export interface History {
  /** Events kept at the least, and how old the oldest one may be that is served, ms. */
  readonly events: number
  readonly ageMs: number
}

/** All of it holds. Made from a policy file (policy-file.ts). */
export interface Condition {
  /** The room's id is the user's, or the tenant's. */
  readonly id: 'user' | 'tenant' | null
  /** Of `type:tenant:id`: the room's tenant is the identity's own. `any` opens other tenants' rooms. */
  readonly tenant: 'own' | 'any'
  /** The identity has one of these; null: not asked. */
  readonly role: ReadonlySet<string> | null
  readonly permission: ReadonlySet<string> | null
}
/** One of the conditions holds; none: nobody. */
export type Rule = readonly Condition[]
/** Parts of a room's name: `type:id`, `type:tenant:id`, or either. */
export type RoomForm = 'id' | 'tenant' | 'any'
export interface RoomPolicy {
  readonly form: RoomForm
  readonly join: Rule
  readonly publish: Rule
  /** Who is told of the members; null: nobody keeps them. */
  readonly presence: Rule | null
  /** Names of events that clients may publish, `deal.*` for all that begin so; null: any. */
  readonly events: readonly string[] | null
  readonly history: History
  /** Ephemeral events that one process passes on to a room, per second. */
  readonly ephemeralPerSecond: number
}
export interface Policy {
  /** Rooms that every connection is put into, with `{user}` and `{tenant}` in place of its own. */
  readonly connect: readonly string[]
  readonly history: History
  readonly ephemeralPerSecond: number
  /** How many events users may publish; null: nobody counts. */
  readonly rates: RateClasses | null
  readonly types: ReadonlyMap<string, RoomPolicy>
  /** Rooms by their whole name, before their type. */
  readonly rooms: ReadonlyMap<string, RoomPolicy>
  /** Types that are not named; null: they are unknown. */
  readonly others: RoomPolicy | null
  /** What the backend is told; null: nothing. */
  readonly outgoing: Outgoing | null
}

export type PolicyCode = 'FORBIDDEN' | 'UNKNOWN_ROOM_TYPE' | 'INVALID_ROOM' | 'UNKNOWN_EVENT'
export type Decision = { readonly allow: true } | { readonly allow: false; readonly code: PolicyCode }
export interface Question {
  readonly identity: Identity
  readonly room: string
  readonly action: RoomAction
  /** Of a `publish`: the event's name. */
  readonly event?: string
}

const allowed: Decision = { allow: true }

/**
 * Judges by names and claims alone. It knows nothing about rooms that exist, so a refusal cannot tell anything about them either.
 * @example decide(policy, { identity: { userId: '42' }, room: 'user:42', action: 'join' }) // { allow: true }
 */
export function decide(policy: Policy, { identity, room, action, event }: Question): Decision {
  const name = parseRoomName(room)
  if (!name.ok) return { allow: false, code: 'INVALID_ROOM' }
  const found = policyOf(policy, name)
  if (found === null) return { allow: false, code: 'UNKNOWN_ROOM_TYPE' }
  if (!fits(found.form, name)) {
    const named = found !== policy.others
    return { allow: false, code: named ? 'FORBIDDEN' : 'UNKNOWN_ROOM_TYPE' }
  }
  if (!(found[action] ?? []).some((condition) => failing(condition, identity, name) === undefined))
    return { allow: false, code: 'FORBIDDEN' }
  if (event !== undefined && !isListed(found.events, event)) return { allow: false, code: 'UNKNOWN_EVENT' }
  return allowed
}

/** Whether the policy has rooms of this name, whoever may use them: its type is known, and its form is that of the type. */
export function isKnown(policy: Policy, room: string): boolean {
  const name = parseRoomName(room)
  const found = name.ok ? policyOf(policy, name) : null
  return name.ok && found !== null && fits(found.form, name)
}

/** Whether the members of a room are kept. */
export function hasPresence(policy: Policy, room: string): boolean {
  const name = parseRoomName(room)
  return name.ok && (policyOf(policy, name)?.presence ?? null) !== null
}

/** What a room keeps. Of a name that nobody may use it is what the policy says in general. */
export function historyOf(policy: Policy, room: string): History {
  const name = parseRoomName(room)
  return (name.ok ? policyOf(policy, name) : null)?.history ?? policy.history
}

/** Ephemeral events per second that one process passes on to a room. Of a name that nobody may use it is what the policy says in general. */
export function ephemeralPerSecondOf(policy: Policy, room: string): number {
  const name = parseRoomName(room)
  return (name.ok ? policyOf(policy, name) : null)?.ephemeralPerSecond ?? policy.ephemeralPerSecond
}

/** The rooms that a connection of this identity is put into. One that it may not join is left out. */
export function roomsAtConnect(policy: Policy, identity: Identity): string[] {
  const { userId, tenantId } = identity
  const rooms = policy.connect
    .filter((template) => tenantId !== undefined || !template.includes('{tenant}'))
    .map((template) =>
      template.replaceAll(/\{user\}|\{tenant\}/g, (each) => (each === '{user}' ? userId : (tenantId ?? ''))),
    )
  return [...new Set(rooms)].filter((room) => decide(policy, { identity, room, action: 'join' }).allow)
}

/** Which part of the policy a room is judged by, and the first thing that each of its conditions lacks; for people. */
export function explain(policy: Policy, question: Question): readonly string[] {
  const name = parseRoomName(question.room)
  if (!name.ok) return [`${JSON.stringify(question.room)} is not a room's name: type:id or type:tenant:id`]
  const found = policyOf(policy, name)
  if (found === null) return [`the type ${name.type} is not in "types", and there is no "others"`]
  const place = policy.rooms.has(name.name) ? `rooms.${name.name}` : found === policy.others ? 'others' : name.type
  const path = found === policy.others || policy.rooms.has(name.name) ? place : `types.${name.type}`
  if (!fits(found.form, name)) return [`${path}.form is "${found.form}": the name has another number of parts`]
  const rule = found[question.action] ?? []
  const lines = rule.map((condition, i) => {
    const lack = failing(condition, question.identity, name)
    return `${path}.${question.action}[${i}]: ${lack ?? 'holds'}`
  })
  if (rule.length === 0) lines.push(`${path}.${question.action} is nobody`)
  if (question.event !== undefined && !isListed(found.events, question.event))
    lines.push(`${path}.events does not list ${JSON.stringify(question.event)}`)
  return lines
}

function policyOf(policy: Policy, { name, type }: RoomName): RoomPolicy | null {
  return policy.rooms.get(name) ?? policy.types.get(type) ?? policy.others
}

function fits(form: RoomForm, { tenant }: RoomName): boolean {
  return form === 'any' || (form === 'tenant') === (tenant !== undefined)
}

/** What the identity lacks; undefined: nothing. */
function failing(condition: Condition, identity: Identity, room: RoomName): string | undefined {
  const { id, tenant, role, permission } = condition
  const { userId, tenantId, roles = [], permissions = [] } = identity
  if (room.tenant !== undefined && tenant === 'own' && room.tenant !== tenantId) return 'the room is of another tenant'
  if (id === 'user' && room.id !== userId) return 'the room is not named after this user'
  if (id === 'tenant' && room.id !== tenantId) return 'the room is not named after the user’s tenant'
  if (role !== null && !roles.some((each) => role.has(each))) return `none of the roles ${listed(role)}`
  if (permission !== null && !permissions.some((each) => permission.has(each)))
    return `none of the permissions ${listed(permission)}`
  return undefined
}

const listed = (words: ReadonlySet<string>): string => [...words].join(', ')

function isListed(events: readonly string[] | null, event: string): boolean {
  return events === null || listsEvent(events, event)
}
