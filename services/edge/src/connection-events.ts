import type { OutRecord } from '@flotilla/core/entry'
import { edgeRoom, eventLogs, outgoingTail, tellsConnections } from '@flotilla/core/outgoing'
import type { OutgoingEvent } from '@flotilla/core/outgoing'
import { laneOf, slotOf } from '@flotilla/core/slot'
import { wait } from '@flotilla/node/backoff'
import type { Endpoint, PublishOutcome, PublishRequest } from '@flotilla/node/endpoint-port'
import type { PolicySource } from '@flotilla/node/policy'
import type { Scope } from '@flotilla/node/scope'
import type { Connection } from './connection.ts'

/** Events that wait to be committed, at the most; further ones are lost, and counted. */
export const maxWaiting = 50_000
/** How long one is tried, ms: well within the time for which its key is remembered. */
const triedForMs = 60_000
/** At the least between two attempts, ms. */
const retryLeastMs = 100
/** How long a drain waits for those that are not committed, ms. */
const drainMs = 5_000
const sender = 'edge'

/** The part of a connection that is told. */
type Told = Pick<Connection, 'id' | 'identity'>

export interface ConnectionEventsDeps {
  readonly shape: { readonly slots: number; readonly lanes: number }
  readonly scope: Pick<Scope, 'signal'>
  readonly policy: PolicySource
  readonly metrics: { readonly untold: { inc(): void } }
  endpoint(): Pick<Endpoint, 'boot' | 'publish' | 'interest'>
  connections(): Iterable<Told>
}

/** Tells the backend of the connections of this edge, where the policy asks for it (docs/spec.md OE). */
export interface ConnectionEvents {
  opened(connection: Told): void
  closed(connection: Told): void
  /** The endpoint is there. */
  begin(): void
  onRecords(records: readonly OutRecord[]): void
  onResync(lane: number): void
  /** Everything was told, or cannot be in time; then nobody needs to tell that this edge is lost. */
  end(): Promise<void>
}

export function tellOfConnections(deps: ConnectionEventsDeps): ConnectionEvents {
  const { shape, policy, metrics, scope } = deps
  const logs = eventLogs(shape.slots)
  /** What was told last of each connection, as long as it is under way. */
  const last = new Map<string, Promise<void>>()
  let waiting = 0
  /** The boot that has declared its room. */
  let declared = ''

  const asks = (event: OutgoingEvent): boolean => policy.current.outgoing?.events.has(event) === true

  function tell(event: 'connection.opened' | 'connection.closed', { id, identity }: Told): void {
    if (identity === null || declared === '' || !asks(event)) return
    if (waiting >= maxWaiting) return metrics.untold.inc()
    waiting += 1
    const { userId, tenantId = null } = identity
    const at = new Date().toISOString()
    const data = JSON.stringify({ connectionId: id, userId, tenantId, edge: declared, at })
    const room = logs[slotOf(`user:${userId}`, shape.slots)] ?? ''
    const message = { room, sender, key: `${id}:${event}:${declared}`, options: '', tail: outgoingTail(event, data) }
    const before = last.get(id) ?? Promise.resolve()
    const mine = before.then(() => publishInTime(message))
    last.set(id, mine)
    void mine.then(() => {
      waiting -= 1
      if (last.get(id) === mine) last.delete(id)
    })
  }

  async function publishInTime(message: PublishRequest): Promise<void> {
    const until = performance.now() + triedForMs
    while (performance.now() < until && !scope.signal.aborted) {
      const outcome = await new Promise<PublishOutcome>((settled) => deps.endpoint().publish(message, settled))
      if (outcome.type === 'committed') return
      await wait(Math.max(retryLeastMs, outcome.retryAfterMs), scope.signal).catch(() => undefined)
    }
    metrics.untold.inc()
  }

  /** Declares the room of this boot, or withdraws it, as the policy says; a boot that is new tells of all that is open. */
  function review(): void {
    const { outgoing } = policy.current
    const { boot } = deps.endpoint()
    const wanted = outgoing !== null && tellsConnections(outgoing) ? boot : ''
    if (wanted === declared) return
    if (wanted === '') deps.endpoint().interest(edgeRoom(declared), false, '')
    declared = wanted
    if (wanted === '') return
    declare()
    for (const connection of deps.connections()) tell('connection.opened', connection)
  }
  const declare = (): void => deps.endpoint().interest(edgeRoom(declared), true, '')
  const slotOfEdge = (): number => slotOf(edgeRoom(declared), shape.slots)

  policy.onChange(review)
  return {
    opened: (connection) => tell('connection.opened', connection),
    closed: (connection) => tell('connection.closed', connection),
    begin: review,
    onRecords: (records) => {
      if (declared === '') return
      for (const record of records) if (record.type === 'reset' && record.slot === slotOfEdge()) declare()
    },
    onResync: (lane) => {
      if (declared === '') return
      if (declared !== deps.endpoint().boot) review()
      else if (laneOf(slotOfEdge(), shape.lanes) === lane) declare()
    },
    end: async () => {
      await Promise.race([Promise.all(last.values()), wait(drainMs, scope.signal).catch(() => undefined)])
      if (declared !== '' && last.size === 0) deps.endpoint().interest(edgeRoom(declared), false, '')
      declared = ''
    },
  }
}
