import { historyEvents, historyMs } from './limits.ts'
import { parseRoomName, type RoomName } from './room-name.ts'

/** Who is asking: what authentication vouched for. */
export interface Identity {
  readonly userId: string
  readonly tenantId?: string | undefined
}
export type RoomAction = 'join' | 'publish'
export interface History {
  /** Events kept, and for how long, ms. */
  readonly count: number
  readonly ageMs: number
}
export type Decision =
  | { readonly allow: true; readonly history: History }
  | { readonly allow: false; readonly code: 'FORBIDDEN' | 'UNKNOWN_ROOM_TYPE' | 'INVALID_ROOM' }

type Grant = (identity: Identity, id: string) => boolean
type Grants = Readonly<Record<RoomAction, Grant>>

const everyone: Grant = () => true
const ownUser: Grant = (identity, id) => identity.userId === id
const ownTenant: Grant = (identity, id) => identity.tenantId === id

const twoPart: ReadonlyMap<string, Grants> = new Map([
  ['public', { join: everyone, publish: everyone }],
  ['user', { join: ownUser, publish: ownUser }],
  ['tenant', { join: ownTenant, publish: ownTenant }],
])
/**
 * These name one user or one tenant, whose id follows whole. In three parts they would let tenant `a` into the private
 * room of a user whose id happens to be `a:b`.
 */
const twoPartOnly: ReadonlySet<string> = new Set(['user', 'tenant'])
const defaultHistory: History = { count: historyEvents, ageMs: historyMs }

/**
 * The policy of a fleet without a policy file. It knows nothing about rooms that exist, so a refusal cannot tell
 * anything about them either.
 */
export function decide(identity: Identity, room: string, action: RoomAction): Decision {
  const parsed = parseRoomName(room)
  if (!parsed.ok) return { allow: false, code: 'INVALID_ROOM' }
  const granted = parsed.tenant === undefined ? decideTwoPart(identity, parsed, action) : decideTenant(identity, parsed)
  if (granted === 'unknown') return { allow: false, code: 'UNKNOWN_ROOM_TYPE' }
  return granted ? { allow: true, history: defaultHistory } : { allow: false, code: 'FORBIDDEN' }
}

function decideTwoPart(identity: Identity, room: RoomName, action: RoomAction): boolean | 'unknown' {
  const grants = twoPart.get(room.type)
  return grants === undefined ? 'unknown' : grants[action](identity, room.id)
}

function decideTenant(identity: Identity, room: RoomName): boolean {
  return !twoPartOnly.has(room.type) && identity.tenantId === room.tenant
}
