import { listsEvent } from './event-pattern.ts'
import type { Outgoing } from './outgoing.ts'
import type { Hooks } from './policy-hooks.ts'
import type { RateClasses } from './rates.ts'
import { parseRoomName } from './room-name.ts'
import type { RoomName } from './room-name.ts'
import type { Sensitive } from './sensitive.ts'

/** Who is asking: what authentication vouched for. */
export interface Identity {
  readonly userId: string
  readonly tenantId?: string | undefined
  readonly roles?: readonly string[] | undefined
  readonly permissions?: readonly string[] | undefined
  /** Nobody vouched for anything: there is no token. Its only role is {@link anonymousRole}. */
  readonly anonymous?: boolean | undefined
}
/** What a condition has to name to hold for a connection without a token. */
export const anonymousRole = 'anonymous'
/** `presence`: to be told who the members are. */
export type RoomAction = 'join' | 'publish' | 'presence'
export interface History {
  /** Events kept at the least, and how old the oldest one may be that is served, ms. */
  readonly events: number
  readonly ageMs: number
}

/** All of it holds. Made from a policy file (policy-file.ts). */
export interface Condition {
  /** The room's id is the user's, or the tenant's, or one of the roles. */
  readonly id: 'user' | 'tenant' | 'role' | null
  /** Of `type:tenant:id`: the room's tenant is the identity's own. `any` opens other tenants' rooms. */
  readonly tenant: 'own' | 'any'
  /** The identity has one of these; null: not asked, and not for anonymous connections. */
  readonly role: ReadonlySet<string> | null
  readonly permission: ReadonlySet<string> | null
  /** A signed token for this very room was given. */
  readonly token: boolean
  /** A service says so: it is asked when everything else holds; null: nobody is asked. */
  readonly hook: string | null
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
  /** Rooms that every connection is put into, with `{user}` and `{tenant}` in place of its own, and one for each `{role}`. */
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
  /** Services that are asked. */
  readonly hooks: Hooks
  /** What the backend is told; null: nothing. */
  readonly outgoing: Outgoing | null
  /** Fields that are left out of what is told; null: none. */
  readonly sensitive: Sensitive | null
}

export type PolicyCode = 'FORBIDDEN' | 'UNKNOWN_ROOM_TYPE' | 'INVALID_ROOM' | 'UNKNOWN_EVENT'
/** `hook`: allowed if the service of that name in `hooks.rooms` says so; who cannot ask takes it for the refusal that it is. */
export type Decision =
  | { readonly allow: true }
  | { readonly allow: false; readonly code: PolicyCode; readonly hook?: string }
export interface Question {
  readonly identity: Identity
  readonly room: string
  readonly action: RoomAction
  /** Of a `publish`: the event's name. */
  readonly event?: string
  /** Whether there is a signed token for this room. */
  readonly hasToken?: boolean
}

const allowed: Decision = { allow: true }
/** A token may name more roles than anybody wants rooms of. */
const maxRolesAtConnect = 32

/**
 * Judges by names and claims alone. It knows nothing about rooms that exist, so a refusal cannot tell anything about them either.
 * @example decide(policy, { identity: { userId: '42' }, room: 'user:42', action: 'join' }) // { allow: true }
 */
export function decide(policy: Policy, question: Question): Decision {
  const { room, action, event } = question
  const name = parseRoomName(room)
  if (!name.ok) return { allow: false, code: 'INVALID_ROOM' }
  const found = policyOf(policy, name)
  if (found === null) return { allow: false, code: 'UNKNOWN_ROOM_TYPE' }
  if (!fits(found.form, name)) {
    const named = found !== policy.others
    return { allow: false, code: named ? 'FORBIDDEN' : 'UNKNOWN_ROOM_TYPE' }
  }
  const hook = hookOf(found[action] ?? [], question, name)
  if (hook === undefined) return { allow: false, code: 'FORBIDDEN' }
  if (event !== undefined && !isListed(found.events, event)) return { allow: false, code: 'UNKNOWN_EVENT' }
  return hook === null ? allowed : { allow: false, code: 'FORBIDDEN', hook }
}

/** Null: a condition holds; undefined: none does; else the hook that one of them lacks nothing but the word of. */
function hookOf(rule: Rule, question: Question, name: RoomName): string | null | undefined {
  let hook: string | undefined
  for (const condition of rule) {
    if (failing(condition, question, name) !== undefined) continue
    if (condition.hook === null) return null
    hook ??= condition.hook
  }
  return hook
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

/** The rooms that a connection of this identity is put into. One that it may not join is left out, and so is that of a role beyond the 32nd. */
export function roomsAtConnect(policy: Policy, identity: Identity): string[] {
  const rooms = new Set(policy.connect.flatMap((template) => roomsFrom(template, identity)))
  return [...rooms].filter((room) => decide(policy, { identity, room, action: 'join' }).allow)
}

function roomsFrom(template: string, { userId, tenantId, roles = [] }: Identity): string[] {
  if (tenantId === undefined && template.includes('{tenant}')) return []
  const named = (role: string): string =>
    template.replaceAll(
      /\{(user|tenant|role)\}/g,
      (_, part) => ({ user: userId, tenant: tenantId ?? '', role })[part as 'role'],
    )
  return template.includes('{role}') ? roles.slice(0, maxRolesAtConnect).map(named) : [named('')]
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
    const lack = failing(condition, question, name)
    const holds = condition.hook === null ? 'holds' : `holds if the hook ${condition.hook} says so`
    return `${path}.${question.action}[${i}]: ${lack ?? holds}`
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

/** What the identity lacks, apart from the word of a hook; undefined: nothing. */
function failing(condition: Condition, { identity, hasToken }: Question, room: RoomName): string | undefined {
  if (condition.token && hasToken !== true) return 'no token for this room'
  return lacking(condition, identity, room)
}

const isNamedAfter: Readonly<Record<'user' | 'tenant' | 'role', (id: string, identity: Identity) => boolean>> = {
  user: (id, { userId }) => id === userId,
  tenant: (id, { tenantId }) => id === tenantId,
  role: (id, { roles }) => roles?.includes(id) === true,
}
const notNamedAfter = {
  user: 'the room is not named after this user',
  tenant: 'the room is not named after the user’s tenant',
  role: 'the room is not named after a role of the user',
} as const

function lacking(condition: Condition, identity: Identity, room: RoomName): string | undefined {
  const { id, tenant, role, permission } = condition
  if (isShut(condition, identity)) return 'the connection is anonymous, and the condition does not name that role'
  const { userId, tenantId, roles = [], permissions = [] } = identity
  if (room.tenant !== undefined && tenant === 'own' && room.tenant !== tenantId) return 'the room is of another tenant'
  if (id !== null && !isNamedAfter[id](room.id, { userId, tenantId, roles })) return notNamedAfter[id]
  if (role !== null && !roles.some((each) => role.has(each))) return `none of the roles ${listed(role)}`
  if (permission !== null && !permissions.some((each) => permission.has(each)))
    return `none of the permissions ${listed(permission)}`
  return undefined
}

/** A condition that was written for those with a token must not open to those without. */
function isShut({ role }: Condition, { anonymous }: Identity): boolean {
  return anonymous === true && role?.has(anonymousRole) !== true
}

const listed = (words: ReadonlySet<string>): string => [...words].join(', ')

function isListed(events: readonly string[] | null, event: string): boolean {
  return events === null || listsEvent(events, event)
}
