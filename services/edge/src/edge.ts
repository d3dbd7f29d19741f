import type { SessionIdentity, SessionLimits } from '@flotilla/core/session-state'
import { defaultSessionLimits } from '@flotilla/core/session'
import { detached } from '@flotilla/core/entry'
import { ephemeralPerSecondOf } from '@flotilla/core/policy'
import { createRateStore } from '@flotilla/core/rates'
import type { Member } from '@flotilla/core/plan'
import type { DrainLimits } from '@flotilla/core/drain'
import { wait } from '@flotilla/node/backoff'
import { createEndpoint } from '@flotilla/node/endpoint'
import type { Endpoint } from '@flotilla/node/endpoint-port'
import type { Verifier } from '@flotilla/node/jwt'
import type { Log } from '@flotilla/node/log'
import type { Metrics } from '@flotilla/node/metrics'
import { fixedPolicy } from '@flotilla/node/policy'
import type { PolicySource } from '@flotilla/node/policy'
import type { Scope } from '@flotilla/node/scope'
import type { Store } from '@flotilla/node/store/port'
import { noTracing } from '@flotilla/node/tracing'
import type { Tracing } from '@flotilla/node/tracing'
import { stepAging } from './age.ts'
import type { AgeLimits } from './age.ts'
import { Connection } from './connection.ts'
import { createAudit } from './audit.ts'
import { tellOfConnections } from './connection-events.ts'
import type { ConnectionDeps } from './connection.ts'
import { watchDenials } from './denials.ts'
import { emptyEdge } from './drain.ts'
import { createEdgeHooks } from './hooks/hooks.ts'
import { createHub } from './hub.ts'
import type { Hub } from './hub.ts'
import { createLag } from './lag.ts'
import { edgeMetrics } from './metrics.ts'
import { pageHtml, pagePolicy } from './page.ts'
import { createEdgeLocks } from './locks.ts'
import { createEdgeRates } from './rates.ts'
import { createEdgePresence } from './presence.ts'
import { listen } from './server.ts'
import type { EdgeServer, ServerOptions } from './server.ts'
import { createSlices } from './slices.ts'
import { countConnections } from './user-connections.ts'
import { createTokens } from './verify.ts'

/** How often the list of members is read, for the page and for a drain, ms. */
const membersEveryMs = 2_000
/** How often it looks whether control has it drain, ms. */
const drainLookMs = 250
/** Connections are judged by a new policy for so long before the event loop is let turn: 20,000 with ten rooms each take 0.4 s. */
const judgeSliceMs = 8
const maxUsersShown = 100
/** A drain waits so long for that list at the most, ms. */
const membersWithinMs = 1_000

export interface EdgeOptions extends ServerOptions {
  readonly memberId: string
  readonly version: string
  /** Whether those without a token are taken in. */
  readonly anonymous: boolean
  readonly limits: Pick<
    SessionLimits,
    | 'maxSubscriptions'
    | 'maxPublishesInFlight'
    | 'framesPerSecond'
    | 'connectionsPerUser'
    | 'connectionsPerTenant'
    | 'idleMs'
  >
  readonly drain: DrainLimits
  /** Age at which a client is told to move, ms; 0: never. */
  readonly connectionAgeMs: number
  readonly admin?: string
}
export interface EdgeDeps {
  readonly store: Store
  readonly log: Log
  /** For refusals, that are written whatever the level of `log` is; `log` when it is left out. */
  readonly auditLog?: Log
  readonly scope: Scope
  readonly metrics: Metrics
  readonly verifier: Verifier
  readonly tracing?: Tracing
  /** The default one when it is left out. */
  readonly policy?: PolicySource
}
export interface Edge {
  readonly port: number
  readonly boot: string
  /** Whether the store answers, a plan is there, and the edge does not drain. */
  readonly ready: boolean
  /** Whether it drains, or has. */
  readonly drains: boolean
  readonly connections: number
  /** Rooms with subscribers here, or whose interest lingers. */
  readonly rooms: number
  /** Sends everybody elsewhere, signs off. A second call waits for the same end. */
  drain(): Promise<void>
}

/** Starts an edge. Resolves when it listens. */
export async function startEdge(options: EdgeOptions, deps: EdgeDeps): Promise<Edge> {
  const { store, log, scope, verifier, tracing = noTracing, policy = fixedPolicy() } = deps
  const connections = new Set<Connection>()
  let endpoint: Endpoint | undefined
  let server: EdgeServer | undefined
  let members: readonly Member[] = []
  let drained: Promise<void> | undefined
  let admits = true
  let counter = 0

  const metrics = edgeMetrics(deps.metrics, {
    limit: options.maxConnections,
    connections: () => connections.size,
    rooms: () => hub.rooms,
    subscriptions: () => Array.from(connections).reduce((sum, { rooms }) => sum + rooms.size, 0),
    drains: () => drained !== undefined,
  })
  const theEndpoint = (): Endpoint => {
    if (endpoint === undefined) throw new Error('the endpoint is not there yet')
    return endpoint
  }
  const { shape } = store
  const hub: Hub = createHub({
    ...{ shape, log, scope, metrics, tracing, policy },
    ...{ connections: () => connections, endpoint: theEndpoint },
  })
  const counting = { shape, metrics, endpoint: theEndpoint, graceMs: options.drain.graceMs }
  const counted = {
    user: countConnections({ ...counting, scope: 'user', limit: options.limits.connectionsPerUser }),
    tenant: countConnections({ ...counting, scope: 'tenant', limit: options.limits.connectionsPerTenant }),
  }
  const everyCount = Object.values(counted)
  const told = tellOfConnections({
    ...{ shape, scope, policy, metrics },
    ...{ connections: () => connections, endpoint: theEndpoint },
  })
  const presence = createEdgePresence({ shape, endpoint: theEndpoint })
  const locks = createEdgeLocks({ endpoint: theEndpoint })
  const rates = createEdgeRates({ endpoint: theEndpoint })
  const audit = createAudit(deps.auditLog ?? log)
  const hooks = createEdgeHooks({ policy, log, metrics: deps.metrics })
  const lagMs = createLag(scope)
  endpoint = await createEndpoint({
    role: 'edge',
    memberId: options.memberId,
    version: options.version,
    store,
    log,
    scope,
    metrics: deps.metrics,
    tracing,
    ephemeralPerSecond: (room) => ephemeralPerSecondOf(policy.current, room),
    figures: () => ({
      connections: connections.size,
      rooms: hub.rooms,
      lagMs: lagMs(),
      acceptMs: server?.acceptMs() ?? 0,
    }),
    onRecords: (_lane, records) => {
      for (const count of everyCount) count.onRecords(records)
      told.onRecords(records)
      hub.onRecords(records)
      presence.onRecords(records)
      locks.onRecords(records)
      rates.onRecords(records)
    },
    onResync: (lane, reason) => {
      metrics.resyncs.inc({ reason })
      for (const count of everyCount) count.onResync(lane)
      told.onResync(lane)
      hub.onResync(lane)
      presence.onResync(lane)
    },
    ...(options.admin === undefined ? {} : { admin: options.admin }),
  })
  const started = endpoint
  told.begin()
  const limits: SessionLimits = {
    ...defaultSessionLimits,
    ...options.limits,
    framesAtOnce: options.limits.framesPerSecond * 4,
  }
  const age: AgeLimits = { ageMs: options.connectionAgeMs, graceMs: options.drain.graceMs }
  const denials = await watchDenials(store, {
    ...{ log, scope },
    onChange: (current) => {
      for (const connection of connections) connection.step({ type: 'denials', denials: current })
    },
  })
  const shared: ConnectionDeps = {
    limits,
    age,
    tokens: createTokens(verifier, options.anonymous),
    metrics,
    policy,
    denials,
    rates: { userRates: createRateStore(), leases: rates.leases },
    onRooms: hub.onRooms,
    onRegister: (connection, effect) => counted[effect.scope].open(connection, effect),
    onPresence: presence.onSession,
    onLock: locks.ask,
    onRate: rates.ask,
    onRefused: (refused, refusals) => {
      for (const each of refusals) {
        metrics.refusals.inc({ code: each.code }, Math.max(1, each.rooms.length))
        audit.refused(refused, each)
      }
    },
    onHook: hooks.onSession,
    onDirty: hub.onDirty,
    onOpened: told.opened,
    onClosed: (closed) => {
      connections.delete(closed)
      told.closed(closed)
      hub.onClosed(closed)
      presence.onClosed(closed)
      for (const count of everyCount) count.closed(closed)
    },
  }
  const listening = await listen(options, {
    log,
    metrics,
    admits: () => admits,
    connections: () => connections.size,
    onConnection: (socket, raw, { token, ticket, returns }) => {
      // What is cut out of a header holds on to all of it.
      const replaces = detached(ticket)
      const id = `${started.boot.replace('#', '.')}.${(counter += 1).toString(36)}`
      const connection = new Connection({ id, replaces, returns }, socket, raw, shared)
      connections.add(connection)
      connection.start()
      if (token !== undefined) connection.step({ type: 'token', token })
      socket.start(connection)
    },
    pages: {
      '/': async () => ({ type: 'text/html; charset=utf-8', body: pageHtml, policy: pagePolicy }),
      '/fleet': async (token) => {
        const verdict = await verifier.verify(token)
        if (!verdict.ok)
          return { status: 401, type: 'application/json', body: JSON.stringify({ code: 'UNAUTHORIZED' }) }
        return { type: 'application/json', body: JSON.stringify(fleetView(verdict.claims)) }
      },
    },
  })

  server = listening

  /** What the page shows: who of this tenant is here, and what the fleet is made of. */
  function fleetView({ tenantId }: Pick<SessionIdentity, 'tenantId'>): object {
    const users = new Map<string, number>()
    for (const { identity } of connections) {
      if (identity === null || identity.anonymous === true || identity.tenantId !== tenantId) continue
      users.set(identity.userId, (users.get(identity.userId) ?? 0) + 1)
    }
    return {
      edge: options.memberId,
      connections: connections.size,
      users: [...users].slice(0, maxUsersShown).map(([userId, count]) => ({ userId, connections: count })),
      members: members.map(({ boot, role, state }) => ({ boot, role, state })),
    }
  }

  function leaveAtAge(connection: Connection, edges: number, nowMs: number): void {
    const step = stepAging(connection.aging, age, { edges, nowMs, random: Math.random() })
    if (step === 'close') connection.close('goingAway')
    else if (step === 'tell') {
      metrics.aged.inc()
      connection.tellToMove(age.graceMs / 2)
    }
  }

  const judged = createSlices(judgeSliceMs)
  policy.onChange((current) => {
    hub.onPolicy(current)
    for (const connection of connections) judged.add(() => connection.step({ type: 'policy', policy: current }))
  })
  scope.every(1_000, () => {
    const [now, wallMs] = [performance.now(), Date.now()]
    // A drain has its own patience with those who move.
    if (drained === undefined) for (const count of everyCount) count.check(now)
    presence.check(now)
    locks.check(now)
    audit.check(now)
    rates.check(now)
    const edges = members.filter(({ role, state }) => role === 'edge' && state === 'live').length
    for (const connection of connections) {
      connection.check(now, wallMs)
      if (drained === undefined && now >= connection.aging.dueAtMs) leaveAtAge(connection, edges, now)
    }
  })
  // Control was asked to empty this edge.
  scope.every(drainLookMs, () => {
    if (started.plan?.drains?.[started.boot] !== undefined) void theDrain()
  })
  const theDrain = (): Promise<void> => (drained ??= drain())
  const readMembers = async (): Promise<void> => {
    try {
      members = (await store.fleet.read()).members
    } catch (error) {
      log.debug('members could not be read', { error: error instanceof Error ? error.message : String(error) })
    }
  }
  scope.every(membersEveryMs, readMembers)
  scope.defer(() => listening.close())
  await readMembers()

  async function drain(): Promise<void> {
    started.drain()
    // The one that is to take over may have started a moment ago.
    await Promise.race([readMembers(), wait(membersWithinMs, scope.signal)])
    await emptyEdge(options.drain, {
      connections,
      signal: scope.signal,
      alone: () =>
        !members.some(({ role, state, boot }) => role === 'edge' && state === 'live' && boot !== started.boot),
      granted: () => started.plan?.drains?.[started.boot] ?? null,
      admit: (taken) => {
        admits = taken
      },
    })
    await told.end()
    await started.close()
    await listening.close()
  }

  return {
    port: listening.port,
    get boot() {
      return started.boot
    },
    get ready() {
      return started.healthy && started.plan !== null && drained === undefined
    },
    get drains() {
      return drained !== undefined
    },
    get connections() {
      return connections.size
    },
    get rooms() {
      return hub.rooms
    },
    drain: theDrain,
  }
}
