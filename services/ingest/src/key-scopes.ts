import type { Subject } from '@flotilla/core/denials'
import { parseRoomName } from '@flotilla/core/room-name'

/** What a request asks of a room. */
export type KeyAction = 'publish' | 'history'
/** What a key may do; null: everything. */
export type Scopes =
  | (Readonly<Record<KeyAction, Reach>> & { readonly admin: Admin; readonly outgoing: ReadonlySet<OutgoingScope> })
  | null
/** To read outgoing events, of every tenant; to see webhooks and have them send again. */
export type OutgoingScope = 'stream' | 'webhooks'
const outgoingScopes: readonly OutgoingScope[] = ['stream', 'webhooks']

interface Admin {
  /** May deny users, tenants, connections and tokens the fleet. */
  readonly denials: boolean
  /** Where any is named, only these tenants. */
  readonly tenants: ReadonlySet<string>
}

interface Reach {
  /** Every type of room. */
  readonly all: boolean
  readonly types: ReadonlySet<string>
  /** By their whole names: these are outside of what `tenants` limits. */
  readonly rooms: ReadonlySet<string>
  /** Where any is named, only rooms of these tenants. */
  readonly tenants: ReadonlySet<string>
}

const typePattern = /^[a-z][a-z0-9_-]{0,31}$/
const tenantPattern = /^[^:\p{Cc}\p{Cs}]{1,190}$/u

/**
 * Parses a key's list of scopes: `publish` and `history` are every room, `publish:deal` the rooms of that type, `publish:deal:acme:7` that
 * room; with `tenant:acme` all of these but rooms by name are of that tenant only. `admin` is to deny somebody the fleet, `stream` to read
 * outgoing events, `webhooks` to see and repeat what is sent: these are of every tenant.
 * @throws Error that names the scope which is not of this form, or says that the list allows nothing.
 * @example allows(parseScopes(['publish:deal', 'tenant:acme']), 'publish', 'deal:acme:7') // true
 */
export function parseScopes(list: readonly string[]): Scopes {
  const tenants = new Set<string>()
  const reaches = { publish: emptyReach(tenants), history: emptyReach(tenants) }
  const outgoing = new Set(outgoingScopes.filter((each) => list.includes(each)))
  for (const scope of list.filter((each) => each !== 'admin' && !outgoingScopes.some((other) => other === each))) {
    const colon = scope.indexOf(':')
    const word = colon < 0 ? scope : scope.slice(0, colon)
    const rest = colon < 0 ? undefined : scope.slice(colon + 1)
    if (word === 'tenant' && rest !== undefined && tenantPattern.test(rest)) tenants.add(rest)
    else if ((word !== 'publish' && word !== 'history') || !widen(reaches[word], rest)) {
      throw new Error(
        `${JSON.stringify(scope)} is no scope: publish, history, each with :type or :room, admin, stream, webhooks, or tenant:id`,
      )
    }
  }
  if (!list.some((scope) => !scope.startsWith('tenant:')))
    throw new Error('neither publish, history, admin, stream nor webhooks is among them')
  if (tenants.size > 0 && outgoing.size > 0)
    throw new Error('stream and webhooks are of every tenant: they cannot stand beside tenant:id')
  return { ...reaches, admin: { denials: list.includes('admin'), tenants }, outgoing }
}

interface OpenReach extends Reach {
  all: boolean
  readonly types: Set<string>
  readonly rooms: Set<string>
}

const emptyReach = (tenants: ReadonlySet<string>): OpenReach => ({
  all: false,
  types: new Set(),
  rooms: new Set(),
  tenants,
})

/** Whether what follows the action is of its form. */
function widen(reach: OpenReach, rest: string | undefined): boolean {
  if (rest === undefined) reach.all = true
  else if (typePattern.test(rest)) reach.types.add(rest)
  else if (parseRoomName(rest).ok) reach.rooms.add(rest)
  else return false
  return true
}

/** Whether a key with these scopes may do it to that room, whose name is of its form. */
export function allows(scopes: Scopes, action: KeyAction, room: string): boolean {
  if (scopes === null) return true
  const { all, types, rooms, tenants } = scopes[action]
  if (rooms.has(room)) return true
  const name = parseRoomName(room)
  if (!name.ok || !(all || types.has(name.type))) return false
  if (tenants.size === 0) return true
  const tenant = name.tenant ?? (name.type === 'tenant' ? name.id : undefined)
  return tenant !== undefined && tenants.has(tenant)
}

/** Whether a key with these scopes may deny the subject the fleet. One that is for some tenants may deny these, and nobody else. */
export function mayDeny(scopes: Scopes, { kind, id }: Subject): boolean {
  if (scopes === null) return true
  const { denials, tenants } = scopes.admin
  return denials && (tenants.size === 0 || (kind === 'tenant' && tenants.has(id)))
}

/** Whether a key with these scopes may read outgoing events, or see webhooks. */
export function mayRead(scopes: Scopes, what: OutgoingScope): boolean {
  return scopes === null || scopes.outgoing.has(what)
}
