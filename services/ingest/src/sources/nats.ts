import { readFileSync } from 'node:fs'
import { AckPolicy, DeliverPolicy, JetStreamApiError, jetstream, jetstreamManager } from '@nats-io/jetstream'
import type { Consumer, ConsumerInfo, JetStreamClient, JetStreamManager, JsMsg } from '@nats-io/jetstream'
import { connect, credsAuthenticator, headers as createHeaders, millis, nanos } from '@nats-io/transport-node'
import type { NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node'
import { validKey } from '@flotilla/core/room-name'
import { wait } from '@flotilla/node/backoff'
import { readSecret } from '@flotilla/node/secret'
import type { Incoming } from './intake.ts'
import type { Misfit } from './mapping.ts'
import { createOlder } from './older.ts'
import type { Older } from './older.ts'
import type { NatsSource } from './schema.ts'
import type { RunSession, Session } from './session.ts'

/** Time for a connection, and for an answer, ms. */
const connectTimeoutMs = 5_000
/** A server that answers so many pings, this far apart, not is away. */
const pingEveryMs = 5_000
const maxPingsOut = 2
/** One request for messages stays open for so long, ms. */
const fetchMs = 5_000
/** Beyond the ack wait, until the server has found out which messages are due, ms. */
const dueMarginMs = 300
/** Ack waits are renewed so many times before each would end. */
const renewals = 3
/** Of an unordered source, whose consumer several processes share: of how many processes' messages it waits for. */
const sharers = 16
const consumerNotFound = 10_014

/** Takes the messages of a stream by a durable pull consumer, and acknowledges each when it is in its rooms. */
export function natsSession(source: NatsSource): RunSession {
  return async (session) => {
    const connection = await connect(connectionOptions(source, session.memberId))
    try {
      await takeAll(connection, source, session)
    } finally {
      await connection.close()
    }
  }
}

/** Without reconnects of its own: what was sent into a connection that broke is not known, so the session begins anew. */
function connectionOptions(source: NatsSource, memberId: string): NodeConnectionOptions {
  const { servers, user, password, token, credentials, tls } = source
  return {
    servers: [...servers],
    name: `flotilla-ingest ${memberId}`,
    reconnect: false,
    timeout: connectTimeoutMs,
    pingInterval: pingEveryMs,
    maxPingOut: maxPingsOut,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { pass: readSecret(password) }),
    ...(token === undefined ? {} : { token: readSecret(token) }),
    ...(credentials === undefined
      ? {}
      : { authenticator: credsAuthenticator(new TextEncoder().encode(readSecret(credentials))) }),
    ...(tls === undefined
      ? {}
      : {
          tls: Object.fromEntries(
            Object.entries(tls).flatMap(([name, path]) =>
              path === undefined ? [] : [[name, readFileSync(path, 'utf8')] as const],
            ),
          ),
        }),
  }
}

async function takeAll(connection: NatsConnection, source: NatsSource, session: Session): Promise<void> {
  const manager = await jetstreamManager(connection)
  const { created } = await manager.streams.info(source.stream)
  const found = await consumerOf(manager, source)
  session.connected()
  const ackWaitMs = millis(found.config.ack_wait ?? nanos(source.ackWaitMs))
  if (source.ordered && found.num_ack_pending > 0) {
    // Another took them and has not settled them. Most are due after this time, and are then given out before newer ones.
    session.log.info('waiting for messages that another process took', { count: found.num_ack_pending, ackWaitMs })
    if (!(await rest(ackWaitMs + dueMarginMs, [session.stop, closedSignal(connection)]))) return
  }
  const client = jetstream(connection)
  const consumer = await client.consumers.get(source.stream, source.durable)
  const info = await consumer.info()
  session.pending(info.num_pending)
  const hand = createHand({ source, session, client, life: Date.parse(created).toString(36) })
  const older = createOlder<JsMsg>({
    count: source.ordered ? info.num_ack_pending : 0,
    through: info.delivered.stream_seq,
    take: (message) => hand.take(message),
  })
  const renew = setInterval(() => {
    if (connection.isClosed()) return
    hand.renew()
    for (const message of older.kept()) message.working()
  }, ackWaitMs / renewals)
  try {
    await pull(connection, { consumer, source, session, older, ackWaitMs, delivered: info.delivered.consumer_seq })
    await session.settled()
    if (!connection.isClosed()) await connection.flush()
  } finally {
    clearInterval(renew)
  }
}

async function consumerOf(manager: JetStreamManager, source: NatsSource): Promise<ConsumerInfo> {
  const { stream, durable, filters, ackWaitMs, maxInFlight, ordered } = source
  let info: ConsumerInfo
  try {
    info = await manager.consumers.info(stream, durable)
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== consumerNotFound) throw error
    const [first, ...others] = filters ?? []
    info = await manager.consumers.add(stream, {
      durable_name: durable,
      ack_policy: AckPolicy.Explicit,
      deliver_policy: DeliverPolicy.All,
      ack_wait: nanos(ackWaitMs),
      max_ack_pending: ordered ? maxInFlight : maxInFlight * sharers,
      ...(first === undefined ? {} : others.length === 0 ? { filter_subject: first } : { filter_subjects: filters }),
    } as Parameters<JetStreamManager['consumers']['add']>[1])
  }
  const { ack_policy, deliver_subject, max_deliver = -1 } = info.config
  if (ack_policy !== AckPolicy.Explicit) throw new Error(`consumer ${durable}: its ack policy is not explicit`)
  if (deliver_subject !== undefined) throw new Error(`consumer ${durable} is a push consumer`)
  if (max_deliver > 0)
    throw new Error(`consumer ${durable}: max_deliver would lose what the fleet cannot take for a while`)
  return info
}

interface Pull {
  readonly consumer: Consumer
  readonly source: NatsSource
  readonly session: Session
  readonly older: Older<JsMsg>
  /** Deliveries of the consumer before the first one of this session. */
  readonly delivered: number
  readonly ackWaitMs: number
}

/** Returns when it is to stop; rejects when the connection breaks, or a delivery was lost on the way. */
async function pull(connection: NatsConnection, options: Pull): Promise<void> {
  const { consumer, source, session, older } = options
  const { stop, intake } = session
  const end = AbortSignal.any([stop, closedSignal(connection)])
  let { delivered } = options
  for (;;) {
    await intake.fewerThan(Math.ceil(source.maxInFlight / 2), end)
    if (stop.aborted) return
    if (end.aborted) throw new Error('the connection was lost')
    const wanted = older.open ? source.maxInFlight - intake.size : older.missing
    const messages = await consumer.fetch({ max_messages: wanted, expires: fetchMs })
    const close = (): void => void messages.close().catch(() => undefined)
    stop.addEventListener('abort', close, { once: true })
    for await (const message of messages) {
      if (stop.aborted) break
      delivered += 1
      if (source.ordered && message.info.deliverySequence !== delivered)
        throw new Error('a delivery was lost, or another process takes messages: newer ones must wait for it')
      session.pending(message.info.pending)
      older.take(message)
    }
    stop.removeEventListener('abort', close)
    if (older.open) continue
    older.check((await consumer.info()).num_ack_pending)
    // Until they are due each request would bring newer ones, to be kept.
    if (!older.open) await rest(options.ackWaitMs / renewals, [end])
  }
}

interface HandOptions {
  readonly source: NatsSource
  readonly session: Session
  readonly client: JetStreamClient
  /** Tells streams of the same name apart. */
  readonly life: string
}
interface Hand {
  take(message: JsMsg): void
  /** Tells the server that what was taken is still being worked on. */
  renew(): void
}

function createHand(options: HandOptions): Hand {
  const { session } = options
  const held = new Map<number, JsMsg>()
  return {
    take: (message) => {
      // The one that is held is acknowledged all the same.
      if (held.has(message.seq)) return
      held.set(message.seq, message)
      void session.intake.take(incomingOf(message, options), session.abandon).then(() => held.delete(message.seq))
    },
    renew: () => {
      for (const message of held.values()) message.working()
    },
  }
}

function incomingOf(message: JsMsg, { source, session, client, life }: HandOptions): Incoming {
  const headers: Record<string, string> = {}
  for (const [name, values] of message.headers ?? []) headers[name.toLowerCase()] = values.join(',')
  const key = keyOf(headers['nats-msg-id'], `${message.info.stream.slice(0, 64)}.${life}.${message.seq}`)
  return {
    key,
    again: message.redelivered,
    message: {
      subject: message.subject,
      headers,
      payload: message.data,
      timeMs: Number(message.timestampNanos / 1_000_000n),
    },
    acknowledge: () => message.ack(),
    putAside: async (reason, detail) => {
      if (source.deadLetter !== undefined)
        await deadLetter(
          client,
          { subject: source.deadLetter, name: source.name, message, key, reason, detail },
          session.abandon,
        )
      message.term()
    },
  }
}

/** A publisher's own id also covers what it sent twice. */
function keyOf(messageId: string | undefined, place: string): string {
  const key = `id:${messageId ?? ''}`
  return messageId !== undefined && messageId !== '' && validKey(key) ? key : place
}

interface DeadLetter {
  readonly subject: string
  readonly name: string
  readonly message: JsMsg
  readonly key: string
  readonly reason: Misfit
  readonly detail: string
}
const deadLetterEveryMs = 1_000

/** Tries until a stream has it; rejects when the session is given up. */
async function deadLetter(client: JetStreamClient, letter: DeadLetter, signal: AbortSignal): Promise<void> {
  const { subject, name, message, key, reason, detail } = letter
  const headers = createHeaders()
  for (const [header, values] of message.headers ?? [])
    if (!header.toLowerCase().startsWith('nats-')) for (const value of values) headers.append(header, value)
  headers.set('Flotilla-Source', name)
  headers.set('Flotilla-Subject', message.subject)
  headers.set('Flotilla-Sequence', String(message.seq))
  headers.set('Flotilla-Reason', reason)
  headers.set('Flotilla-Detail', detail.replaceAll(/[\r\n]/g, ' '))
  for (;;) {
    signal.throwIfAborted()
    try {
      await client.publish(subject, message.data, { headers, msgID: `${name}.${key}` })
      return
    } catch {
      await wait(deadLetterEveryMs, signal)
    }
  }
}

function closedSignal(connection: NatsConnection): AbortSignal {
  const controller = new AbortController()
  void connection.closed().then(() => controller.abort())
  return controller.signal
}

/** False when one of the signals came first. */
async function rest(ms: number, signals: AbortSignal[]): Promise<boolean> {
  return wait(ms, AbortSignal.any(signals)).then(
    () => true,
    () => false,
  )
}
