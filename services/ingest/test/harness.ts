import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { afterEach, expect } from 'vitest'
import type { LogEntry, OutEvent } from '@flotilla/core/entry'
import type { Endpoint, PublishOutcome, PublishRequest } from '@flotilla/node/endpoint-port'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import type { Policy } from '@flotilla/core/policy'
import { fixedPolicy } from '@flotilla/node/policy'
import { createMemoryStore } from '@flotilla/node/store/memory'
import type { StoreError } from '@flotilla/node/store/port'
import { createApp } from '../src/app.ts'
import { allowedAnswer, denialAnswer, denialsAnswer } from '../src/denials.ts'
import { parseKeys } from '../src/keys.ts'
import type { IngestKeys } from '../src/keys.ts'
import { ingestMetrics } from '../src/metrics.ts'
import { streamAnswer } from '../src/outgoing/stream.ts'
import type { Webhook } from '../src/outgoing/webhook-file.ts'
import { replayAnswer, webhooksAnswer } from '../src/outgoing/webhook-routes.ts'
import { presenceAnswer } from '../src/presence.ts'
import type { Questions } from '../src/questions.ts'
import { userRoomsAnswer } from '../src/rooms-of-user.ts'
import { routes } from '../src/routes.ts'
import type { Route, RouteName } from '../src/routes.ts'
import { batchAnswer, eventAccepted, historyAnswer, problemAnswer } from '../src/schema.ts'

export const secret = '0123456789abcdef'
/** An endpoint whose rooms are lists: keys are remembered, and an outcome can be given for a room. */
export function listEndpoint() {
  const rooms = new Map<string, (PublishRequest & { timeMs: number })[]>()
  const ephemeral: (OutEvent & { room: string })[] = []
  const outcomes = new Map<string, PublishOutcome>()
  const fault: { error: StoreError | null; hold: Promise<void> | null } = { error: null, hold: null }
  const log = (room: string): LogEntry[] => {
    if (fault.error !== null) throw fault.error
    return (rooms.get(room) ?? []).map((message, i) => ({
      inc: 1,
      tag: 1,
      first: i + 1,
      timeMs: message.timeMs,
      messages: [message],
    }))
  }
  const commit = (request: PublishRequest): PublishOutcome => {
    const given = outcomes.get(request.room)
    if (given !== undefined) return given
    const list = rooms.get(request.room) ?? []
    rooms.set(request.room, list)
    const found = list.findIndex((other) => other.key === request.key && other.sender === request.sender)
    if (found < 0) list.push({ ...request, timeMs: Date.now() })
    return { type: 'committed', epoch: '1.1', seq: found < 0 ? list.length : found + 1 }
  }
  const endpoint: Endpoint = {
    boot: 'ingest-1#a',
    healthy: true,
    plan: null,
    publish: (request, settled) => {
      const outcome = commit(request)
      void Promise.resolve(fault.hold).then(() => settled(outcome))
    },
    ephemeral: (room, event) => void ephemeral.push({ ...event, room }),
    interest: () => {},
    tell: () => false,
    history: async (room, after, limit) =>
      log(room)
        .filter((entry) => entry.first > after)
        .slice(0, limit),
    tail: async (room, before, limit) =>
      log(room)
        .filter((entry) => entry.first < before)
        .toReversed()
        .slice(0, limit),
    drain: () => {},
    close: async () => {},
  }
  return { endpoint, rooms, ephemeral, outcomes, fault }
}

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close()
    server.closeAllConnections()
  }
})

interface Call {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly raw?: string | Uint8Array<ArrayBuffer>
  readonly query?: string
  /** What stands in the path. */
  readonly room?: string
  readonly user?: string
}

const answers = {
  ...{ postEvent: eventAccepted, postBatch: batchAnswer, getHistory: historyAnswer, getOpenapi: null },
  ...{ getStream: streamAnswer, getWebhooks: webhooksAnswer, postReplay: replayAnswer },
  getPresence: presenceAnswer,
  ...{ postDenial: denialAnswer, getDenials: denialsAnswer, deleteDenial: allowedAnswer },
  ...{ postUserRoom: eventAccepted, deleteUserRoom: eventAccepted, getUserRooms: userRoomsAnswer },
}

interface HarnessOptions {
  readonly maxInFlight?: number
  /** `crm` with the harness' secret, and `key2`, by default. */
  readonly keys?: IngestKeys
  readonly webhooks?: readonly Webhook[]
  /** The default one when it is left out. */
  readonly policy?: Policy
  /** Nobody can say by default. */
  readonly ask?: Questions['ask']
}

/** The app over an endpoint that is a list, behind a real server. */
export async function harness(options: HarnessOptions = {}) {
  const { maxInFlight = 1_000, keys = parseKeys(`crm:${secret}, abcdefghijklmnopq`) } = options
  const list = listEndpoint()
  const store = createMemoryStore({ slots: 4, lanes: 2 })
  const { fleet } = store
  const metrics = createMetrics({ service: 'ingest' })
  /** Lines of the audit. */
  const audit: string[] = []
  const app = createApp({
    endpoint: list.endpoint,
    keys,
    log: createLog({ service: 'ingest', level: 'silent' }),
    auditLog: createLog({ service: 'ingest', level: 'info', destination: { write: (line) => void audit.push(line) } }),
    metrics: ingestMetrics(metrics),
    maxInFlight,
    policy: fixedPolicy(options.policy),
    fleet,
    store,
    webhooks: options.webhooks ?? [],
    closing: new AbortController().signal,
    questions: { ask: options.ask ?? (() => Promise.resolve(undefined)) },
    version: '0.1.0',
  })
  const server = createServer(app)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0

  /** Every answer is one that the route declares, in the declared form. */
  const call = async (
    name: RouteName,
    { body, headers = {}, raw, query = '', room = 'public:a', user = '' }: Call = {},
  ) => {
    const route: Route = routes[name]
    const path = route.path.replace(':user', encodeURIComponent(user)).replace(/:\w+/, encodeURIComponent(room))
    const response = await fetch(`http://127.0.0.1:${port}${path}${query}`, {
      method: route.method.toUpperCase(),
      headers: { authorization: `Bearer ${secret}`, ...headers },
      ...(route.method !== 'post' ? {} : { body: raw ?? JSON.stringify(body) }),
    })
    const answer: unknown = await response.json()
    if (response.status === route.ok || response.status === route.okOfBatch) {
      const form = response.status === route.okOfBatch ? batchAnswer : answers[name]
      form?.parse(answer)
      return { status: response.status, headers: response.headers, answer, code: undefined }
    }
    const { code } = problemAnswer.parse(answer)
    expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    expect(route.problems).toContainEqual([response.status, code])
    return { status: response.status, headers: response.headers, answer, code }
  }
  const post = (body: unknown, headers?: Readonly<Record<string, string>>) =>
    call('postEvent', { body, ...(headers === undefined ? {} : { headers }) })
  return { ...list, metrics, audit, call, post, port, fleet, store }
}
