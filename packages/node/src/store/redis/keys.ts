import { laneOf, laneTags, slotOf } from '@flotilla/core/slot'

/**
 * Every key of the fleet, and the only place where keys are built. What belongs to a lane carries the lane's hash tag,
 * so it is on one primary and one script may touch all of it.
 */
export interface Keys {
  readonly lanes: number
  /** The tag of a lane, and of what belongs to the whole fleet: a cluster places keys by it. */
  tag(lane: number): string
  readonly fleetTag: string
  /** Hash: slot → packed value (core/commit.ts). */
  slots(lane: number): string
  /** Stream: a slot's input. */
  input(slot: number): string
  /** Stream: what could not be decoded. */
  dead(lane: number): string
  /** Hash: `room US boot` → 1. */
  interest(slot: number): string
  laneOfRoom(room: string): number
  /** Stream: a room's log. */
  log(room: string): string
  /** The log of a room whose lane is known. */
  logIn(lane: number, room: string): string
  /** Stream: what a boot is told. */
  outbox(lane: number, boot: string): string
  /** Written by whoever waits for the lane's replicas (docs/adr/0011-acknowledged-by-replicas.md). */
  mark(lane: number): string
  /** Hash: boot → member record as JSON. */
  readonly members: string
  /** Hash: version, json. */
  readonly plan: string
  /** The leader's boot, with a time to live. */
  readonly lead: string
  /** The term of its lease, with the same time to live. */
  readonly term: string
  /** The last epoch issued. */
  readonly epoch: string
  /** Hash: id → record as JSON; a number that each change raises; and sorted, ids by when they are over, of those that ever are. */
  readonly denials: string
  readonly denialsVersion: string
  readonly denialsOver: string
  /** Hash: version and text; stream: what was put aside. Of a reader by its name. */
  readerPlace(name: string): string
  aside(name: string): string
  /** `slots/lanes`, written once. */
  readonly shape: string
  /** On every independent primary: which of how many it is, written once. */
  readonly place: string
}

export function createKeys(prefix: string, shape: { slots: number; lanes: number }): Keys {
  const tags = laneTags(shape.lanes)
  const tag = (lane: number): string => tags[lane] ?? ''
  const inLane = (lane: number): string => `${prefix}{${tag(lane)}}`
  const ofSlot = (slot: number): string => inLane(laneOf(slot, shape.lanes))
  const fleet = `${prefix}{fleet}`
  const laneOfRoom = (room: string): number => laneOf(slotOf(room, shape.slots), shape.lanes)
  const logIn = (lane: number, room: string): string => `${inLane(lane)}:log:${room}`
  return {
    lanes: shape.lanes,
    tag,
    fleetTag: 'fleet',
    slots: (lane) => `${inLane(lane)}:slots`,
    input: (slot) => `${ofSlot(slot)}:in:${slot}`,
    dead: (lane) => `${inLane(lane)}:dead`,
    interest: (slot) => `${ofSlot(slot)}:interest:${slot}`,
    laneOfRoom,
    log: (room) => logIn(laneOfRoom(room), room),
    logIn,
    outbox: (lane, boot) => `${inLane(lane)}:out:${boot}`,
    mark: (lane) => `${inLane(lane)}:mark`,
    members: `${fleet}:members`,
    plan: `${fleet}:plan`,
    lead: `${fleet}:lead`,
    term: `${fleet}:term`,
    epoch: `${fleet}:epoch`,
    denials: `${fleet}:denials`,
    denialsVersion: `${fleet}:denials-version`,
    denialsOver: `${fleet}:denials-over`,
    readerPlace: (name) => `${fleet}:reader:${name}`,
    aside: (name) => `${fleet}:aside:${name}`,
    shape: `${fleet}:shape`,
    place: `${fleet}:place`,
  }
}
