import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createBucket, take } from '@flotilla/core/bucket'
import type { Log } from '@flotilla/node/log'
import type { IngestKey } from './keys.ts'
import type { RouteName } from './routes.ts'

/** Lines about refusals per second, and at once: strangers must not fill the log. Those left out are counted on the next one. */
const refusalsPerSecond = 50
const refusalsAtOnce = 200
/** Rooms that a line names. */
const maxTargets = 10

interface Audited {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly route: RouteName
  /** Undefined for a stranger. */
  readonly key?: IngestKey | undefined
  /** Events, or requests, by the code of their answer; OK when accepted. */
  readonly outcomes: Readonly<Record<string, number>>
  /** Rooms that were asked for, as far as they are known. */
  readonly targets?: readonly string[]
}

/** What leaves a line: who was refused, and who posted to everybody, a tenant or a role. Call it before the answer is sent. */
export interface Audit {
  refused(what: Audited): void
  broadcast(what: Audited): void
  /** Somebody was denied the fleet, or is not any more. */
  denial(what: Audited): void
  /** A webhook is sent events again. */
  replay(what: Audited): void
  /** A user was put into a room, or taken out of one. */
  membership(what: Audited): void
}

/** Whether a room is everybody's, a whole tenant's, or of all who have a role. */
export function isBroadcast(room: string): boolean {
  if (room.startsWith('role:')) return true
  return room === 'public:all' || (room.startsWith('tenant:') && !room.includes(':', 'tenant:'.length))
}

/** docs/ingest.md has the fields. Neither data nor secrets are among them. */
export function createAudit(log: Log): Audit {
  const lines = createBucket({ capacity: refusalsAtOnce, refillPerSecond: refusalsPerSecond })
  let skipped = 0
  const write = (audit: keyof Audit, { req, res, route, key, outcomes, targets = [] }: Audited): void => {
    const requestId = requestIdOf(req)
    if (!res.headersSent) res.setHeader('X-Request-Id', requestId)
    log.info('audit', {
      audit,
      requestId,
      who: key === undefined ? null : `key:${key.name}`,
      keyId: key?.id ?? null,
      from: req.socket.remoteAddress ?? null,
      route,
      targets: targets.slice(0, maxTargets),
      outcomes,
      ...(skipped === 0 ? {} : { skipped }),
    })
    skipped = 0
  }
  return {
    refused: (what) => {
      if (take(lines, 1, performance.now()).ok) write('refused', what)
      else skipped += 1
    },
    broadcast: (what) => write('broadcast', what),
    denial: (what) => write('denial', what),
    replay: (what) => write('replay', what),
    membership: (what) => write('membership', what),
  }
}

/** What the caller calls it, where that can be printed; else a new name. */
function requestIdOf({ headers }: IncomingMessage): string {
  const id = headers['x-request-id']
  return typeof id === 'string' && /^[\x21-\x7e]{1,128}$/.test(id) ? id : randomUUID()
}
