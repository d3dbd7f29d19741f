import { createBucket, take } from '@flotilla/core/bucket'
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

type ErrorFrame = Extract<ServerFrame, { type: 'error' }>
/** Who was refused. */
interface Refused {
  readonly id: string
  /** Null: nobody yet. */
  readonly identity: SessionIdentity | null
}

/** Leaves a line for each client that was refused what it may not. Its fields are in docs/protocol.md; data and tokens are not among them. */
export function createAudit(log: Log): (who: Refused, frame: ErrorFrame) => void {
  const lines = createBucket({ capacity: linesAtOnce, refillPerSecond: linesPerSecond })
  let skipped = 0
  return ({ id, identity }, { code, room, event }) => {
    if (!audited.has(code)) return
    if (!take(lines, 1, performance.now()).ok) {
      skipped += 1
      return
    }
    log.info('audit', {
      audit: 'refused',
      code,
      who: identity?.userId ?? null,
      tenant: identity?.tenantId ?? null,
      connection: id,
      room: room ?? null,
      event: event ?? null,
      ...(skipped === 0 ? {} : { skipped }),
    })
    skipped = 0
  }
}
