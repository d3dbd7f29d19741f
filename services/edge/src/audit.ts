import { createBucket, take } from '@flotilla/core/bucket'
import type { Bucket } from '@flotilla/core/bucket'
import type { ServerFrame } from '@flotilla/core/frames'
import type { SessionIdentity } from '@flotilla/core/session-state'
import type { Log } from '@flotilla/node/log'

/** Refusals of somebody who may not, as opposed to those of what is wrong or too much. */
const audited: ReadonlySet<string> = new Set([
  'UNAUTHORIZED',
  'BANNED',
  'FORBIDDEN',
  'ROOM_TOKEN_EXPIRED',
  'CALL_REFUSED',
])
/** Lines per second, and at once: strangers must not fill the log. Those left out are counted on the next one. */
const linesPerSecond = 50
const linesAtOnce = 200
/** Of one connection: it must not keep those of others out. */
const ownPerSecond = 1
const ownAtOnce = 10
/** What was left out is told after this time, also where nothing else is, ms. */
const toldWithinMs = 10_000

/** One code of a frame, with the rooms that it is said of. */
export interface Refusal {
  readonly code: string
  readonly rooms: readonly string[]
  readonly event?: string | undefined
  /** Of a call: the service's own word. */
  readonly reason?: string | undefined
}
/** Who was refused. */
export interface Refused {
  readonly id: string
  /** Whom a good token named, also one that is kept out; null: a stranger. */
  readonly named: SessionIdentity | null
  readonly address: string | undefined
}
export interface Audit {
  refused(who: Refused, refusal: Refusal): void
  /** Now and then: tells what was left out. */
  check(nowMs: number): void
}

const none: readonly Refusal[] = []

/** What a frame refuses; of a resume, by code. Most refuse nothing. */
export function refusalsOf(frame: ServerFrame): readonly Refusal[] {
  if (frame.type === 'error') {
    const { code, room, event, reason } = frame
    return [{ code, rooms: room === undefined ? [] : [room], event, reason }]
  }
  if (frame.type !== 'ok' || frame.rooms === undefined) return none
  const byCode = new Map<string, string[]>()
  for (const { room, error } of frame.rooms) {
    if (error === undefined) continue
    const rooms = byCode.get(error.code)
    if (rooms === undefined) byCode.set(error.code, [room])
    else rooms.push(room)
  }
  return Array.from(byCode, ([code, rooms]) => ({ code, rooms }))
}

/** Leaves a line for each client that was refused what it may not. Its fields are in docs/protocol.md; data and tokens are not among them. */
export function createAudit(log: Log): Audit {
  const lines = createBucket({ capacity: linesAtOnce, refillPerSecond: linesPerSecond })
  const own = new WeakMap<Refused, Bucket>()
  let skipped: Record<string, number> = {}
  let wroteAtMs = performance.now()

  const mayWrite = (who: Refused, nowMs: number): boolean => {
    const bucket = own.get(who) ?? createBucket({ capacity: ownAtOnce, refillPerSecond: ownPerSecond })
    own.set(who, bucket)
    return take(bucket, 1, nowMs).ok && take(lines, 1, nowMs).ok
  }
  const write = (fields: object, nowMs: number): void => {
    log.info('audit', { ...fields, ...(Object.keys(skipped).length === 0 ? {} : { skipped }) })
    skipped = {}
    wroteAtMs = nowMs
  }
  return {
    refused: (who, { code, rooms, event, reason }) => {
      if (!audited.has(code)) return
      const nowMs = performance.now()
      if (!mayWrite(who, nowMs)) {
        skipped[code] = (skipped[code] ?? 0) + 1
        return
      }
      const { id, named, address } = who
      const fields = {
        audit: 'refused',
        code,
        who: named?.userId ?? null,
        tenant: named?.tenantId ?? null,
        from: address ?? null,
        connection: id,
        room: rooms[0] ?? null,
        ...(rooms.length > 1 ? { moreRooms: rooms.length - 1 } : {}),
        event: event ?? null,
        ...(reason === undefined ? {} : { reason }),
      }
      write(fields, nowMs)
    },
    check: (nowMs) => {
      if (Object.keys(skipped).length > 0 && nowMs - wroteAtMs >= toldWithinMs) write({ audit: 'skipped' }, nowMs)
    },
  }
}
