import type { InterestChange } from './interest.ts'
import { memberNews } from './members.ts'
import type { MemberNews, Members } from './members.ts'
import { isEdgeRoom, outgoingTail, tellsConnections, vacatedAfterMs, wants, watches } from './outgoing.ts'
import type { Outgoing, OutgoingEvent } from './outgoing.ts'

/** Which rooms of a slot were told as occupied. A cache of rows that stand among the slot's interest, so the next owner knows it too. */
export interface SlotTold {
  readonly occupied: Set<string>
  /** Of those, the ones that nobody is interested in any more, and since when, ms; oldest first. */
  readonly emptiedAt: Map<string, number>
  /** Every room is to be looked at: the policy, or the owner, is new. */
  isNew: boolean
}

/** Whose interest in a room says that it was told as occupied: no boot is called so. */
export const toldBoot = '$told'

export const nothingTold = (): SlotTold => ({ occupied: new Set(), emptiedAt: new Map(), isNew: true })

/** What consuming needs, where the policy asks for outgoing events. */
export interface TellContext {
  readonly outgoing: Outgoing
  readonly now: number
  /** Appends an event to the slot's log. */
  tell(tail: string): void
  /** Rows to write with it. */
  readonly rows: InterestChange[]
}

/** The part of a slot that is looked at. */
interface Watched {
  readonly told: SlotTold
  readonly interest: ReadonlyMap<string, ReadonlySet<string>>
}

/** Whether there may be something to tell that no input asks for. */
export function isTellDue({ isNew, emptiedAt }: SlotTold, now: number): boolean {
  if (isNew) return true
  const [first] = emptiedAt.values()
  return first !== undefined && now - first >= vacatedAfterMs
}

/** Somebody is interested in the room, or nobody any more: to be called after each change. */
export function noteInterest({ told, interest }: Watched, room: string, context: TellContext): void {
  if (!interest.has(room)) {
    if (told.occupied.has(room) && !told.emptiedAt.has(room)) told.emptiedAt.set(room, context.now)
    return
  }
  told.emptiedAt.delete(room)
  if (told.occupied.has(room) || !watches(context.outgoing, room)) return
  told.occupied.add(room)
  context.rows.push({ room, boot: toldBoot, on: true })
  if (wants(context.outgoing, 'room.occupied', room)) tellOfRoom('room.occupied', room, context)
}

/** `dropped`: interest of boots that are gone. Tells of edges among them, and notes the rooms. */
export function noteDropped(slot: Watched, dropped: readonly InterestChange[], context: TellContext): void {
  for (const { room, boot, connection, on } of dropped) {
    if (on || connection !== undefined || boot === toldBoot) continue
    if (!isEdgeRoom(room)) noteInterest(slot, room, context)
    else if (tellsConnections(context.outgoing)) context.tell(outgoingTail('edge.lost', JSON.stringify({ edge: boot })))
  }
}

/** Tells what is due without any input. Returns whether there was anything to tell, or to forget. */
export function tellDue(slot: Watched, context: TellContext): void {
  const { told } = slot
  if (told.isNew) {
    told.isNew = false
    for (const room of told.occupied) if (!watches(context.outgoing, room)) forget(told, room, context.rows)
    for (const room of new Set([...told.occupied, ...slot.interest.keys()])) noteInterest(slot, room, context)
  }
  for (const [room, since] of told.emptiedAt) {
    if (context.now - since < vacatedAfterMs) break
    forget(told, room, context.rows)
    if (wants(context.outgoing, 'room.vacated', room)) tellOfRoom('room.vacated', room, context)
  }
}

const eventOf: Readonly<Record<MemberNews['type'], OutgoingEvent>> = {
  joined: 'member.joined',
  left: 'member.left',
  changed: 'presence.changed',
}

/** What the commit changes of the members of rooms: to be called before their changes are taken. */
export function tellOfMembers(members: Members, { outgoing, tell }: TellContext): void {
  for (const { type, room, user, state } of memberNews(members)) {
    const event = eventOf[type]
    if (!wants(outgoing, event, room)) continue
    const shown = type === 'left' ? '' : `,"state":${state === '' ? 'null' : state}`
    tell(outgoingTail(event, `{"room":${JSON.stringify(room)},"userId":${JSON.stringify(user)}${shown}}`))
  }
}

/** The policy asks for nothing any more. */
export function forgetTold(told: SlotTold, rows: InterestChange[]): void {
  for (const room of told.occupied) forget(told, room, rows)
  told.isNew = true
}

function forget({ occupied, emptiedAt }: SlotTold, room: string, rows: InterestChange[]): void {
  occupied.delete(room)
  emptiedAt.delete(room)
  rows.push({ room, boot: toldBoot, on: false })
}

function tellOfRoom(event: 'room.occupied' | 'room.vacated', room: string, { tell }: TellContext): void {
  tell(outgoingTail(event, JSON.stringify({ room })))
}
