import { hash } from 'node:crypto'
import { wait } from '@flotilla/node/backoff'
import type { Log } from '@flotilla/node/log'
import { connect } from '@flotilla/node/store/redis/connection'
import type { Connection } from '@flotilla/node/store/redis/connection'
import { readSecret } from '@flotilla/node/secret'
import type { Incoming } from './intake.ts'
import type { RedisSource } from './schema.ts'
import type { RunSession, Session } from './session.ts'

/** Deadline of a call, ms. */
const commandTimeoutMs = 5_000
/** One read waits for entries so long, ms. */
const blockMs = 1_000
/** Entries of one claim. */
const claimCount = 256
/** How often the group's lag is asked for, ms. */
const lagEveryMs = 5_000
/** How often it is tried again to acknowledge an entry, or to put it aside, ms. */
const settleEveryMs = 1_000
/** Entries of a dead-letter stream, approximately. */
const maxDeadLetters = 100_000

type Entry = readonly [id: string, fields: readonly string[] | null]

/** Takes the entries of a stream by a consumer group, and acknowledges each when it is in its rooms. */
export function redisSession(source: RedisSource): RunSession {
  return async (session) => {
    const url = typeof source.url === 'string' ? source.url : readSecret(source.url)
    const open = (name: string): Connection =>
      connect({ url, name: `source ${source.name} ${name}`, log: quiet(session.log), commandTimeoutMs })
    const [reader, writer] = [open('reader'), open('writer')]
    try {
      await Promise.all([reader.whenReady(commandTimeoutMs), writer.whenReady(commandTimeoutMs)])
      await takeAll({ reader, writer, source, session, held: new Set() })
    } finally {
      reader.close()
      writer.close()
    }
  }
}

/** A session says itself that its source is away. */
function quiet(log: Log): Log {
  const { debug } = log
  return { debug, info: debug, warn: debug, error: debug, child: (fields) => quiet(log.child(fields)) }
}

interface Reading {
  readonly reader: Connection
  readonly writer: Connection
  readonly source: RedisSource
  readonly session: Session
  /** Ids of entries that were taken. */
  readonly held: Set<string>
}

async function takeAll(reading: Reading): Promise<void> {
  const { writer, source, session } = reading
  await createGroup(writer, source)
  session.connected()
  await claim(reading, source.ordered ? 0 : source.ackWaitMs)
  let claimedAtMs = performance.now()
  let lagAtMs = -Infinity
  while (!session.stop.aborted) {
    if (performance.now() - lagAtMs >= lagEveryMs) {
      session.pending(await lagOf(writer, source))
      lagAtMs = performance.now()
    }
    // Of an ordered source nobody else has any.
    if (!source.ordered && performance.now() - claimedAtMs >= source.ackWaitMs) {
      await claim(reading, source.ackWaitMs)
      claimedAtMs = performance.now()
    }
    await read(reading)
  }
  await session.settled()
  await leave(reading)
}

async function createGroup(writer: Connection, { stream, group }: RedisSource): Promise<void> {
  try {
    await writer.send('XGROUP', ['CREATE', stream, group, '0', 'MKSTREAM'])
  } catch (error) {
    if (!String(error).includes('BUSYGROUP')) throw error
  }
}

async function lagOf(writer: Connection, { stream, group }: RedisSource): Promise<number> {
  const groups = (await writer.send('XINFO', ['GROUPS', stream])) as readonly (readonly unknown[])[]
  const own = groups.find((each) => each[each.indexOf('name') + 1] === group) ?? []
  return Number(own[own.indexOf('lag') + 1] ?? 0)
}

/**
 * Takes over what was given to a consumer and not acknowledged for so long, oldest first. Of an ordered source that is
 * everything, before the first new entry: this process alone takes them, so whoever had them has ended.
 */
async function claim(reading: Reading, idleMs: number): Promise<void> {
  const { writer, source, session } = reading
  const { stream, group } = source
  let from = '0-0'
  do {
    await room(reading)
    if (session.stop.aborted) return
    const args = [stream, group, session.memberId, idleMs, from, 'COUNT', claimCount]
    const [next, entries] = (await writer.send('XAUTOCLAIM', args)) as [string, readonly Entry[]]
    for (const entry of entries) take(entry, reading, true)
    from = next
  } while (from !== '0-0')
}

async function read(reading: Reading): Promise<void> {
  const { reader, source, session } = reading
  const { stream, group, maxInFlight } = source
  await room(reading)
  if (session.stop.aborted) return
  const count = Math.max(1, maxInFlight - session.intake.size)
  const args = ['GROUP', group, session.memberId, 'COUNT', count, 'BLOCK', blockMs, 'STREAMS', stream, '>']
  const reply = await reader.send('XREADGROUP', args, blockMs + commandTimeoutMs)
  const [[, entries] = ['', []]] = (reply ?? []) as readonly (readonly [string, readonly Entry[]])[]
  for (const entry of entries) take(entry, reading, false)
}

function room({ session, source }: Reading): Promise<void> {
  return session.intake.fewerThan(Math.ceil(source.maxInFlight / 2), session.stop)
}

function take([id, fields]: Entry, reading: Reading, again: boolean): void {
  const { held, session } = reading
  // One that was deleted has no fields.
  if (held.has(id) || fields === null) return
  held.add(id)
  const incoming = incomingOf(id, fields, { ...reading, again })
  void session.intake.take(incoming, session.abandon).then(() => held.delete(id))
}

function incomingOf(id: string, list: readonly string[], options: Reading & { readonly again: boolean }): Incoming {
  const { writer, source, session, again } = options
  const { stream, group, payloadField, deadLetter } = source
  const fields: Record<string, string> = {}
  for (let i = 0; i + 1 < list.length; i += 2) fields[list[i] ?? ''] = list[i + 1] ?? ''
  const { [payloadField]: text, ...others } = fields
  const headers = Object.fromEntries(Object.entries(others).map(([name, value]) => [name.toLowerCase(), value]))
  const acknowledge = (): Promise<unknown> => writer.send('XACK', [stream, group, id])
  return {
    key: `${hash('sha256', stream).slice(0, 16)}.${id}`,
    again,
    message: {
      subject: stream,
      headers,
      payload: text === undefined ? { value: others } : new TextEncoder().encode(text),
      timeMs: Number(id.split('-', 1)[0]),
    },
    acknowledge: () => {
      // Given out again only after the session, of an ordered source: that may be when nobody knows any more that it was published.
      untilDone(session.abandon, acknowledge).catch((error: unknown) => {
        session.log.debug('an entry was not acknowledged', { id, err: error })
      })
    },
    putAside: async (reason, detail) => {
      const about = ['flotilla-stream', stream, 'flotilla-id', id, 'flotilla-reason', reason, 'flotilla-detail', detail]
      // Of an ordered source nothing is given out again before the next session.
      await untilDone(session.abandon, async () => {
        if (deadLetter !== undefined)
          await writer.send('XADD', [deadLetter, 'MAXLEN', '~', maxDeadLetters, '*', ...about, ...list])
      })
      await untilDone(session.abandon, acknowledge)
    },
  }
}

/** Rejects when the session is given up. */
async function untilDone(signal: AbortSignal, call: () => Promise<unknown>): Promise<void> {
  for (;;) {
    signal.throwIfAborted()
    try {
      await call()
      return
    } catch {
      await wait(settleEveryMs, signal)
    }
  }
}

/** A group keeps every consumer that it ever had; one that has nothing need not stay. */
async function leave({ writer, source, session }: Reading): Promise<void> {
  const { stream, group } = source
  const left = (await writer.send('XPENDING', [stream, group, '-', '+', 1, session.memberId])) as readonly unknown[]
  if (left.length === 0) await writer.send('XGROUP', ['DELCONSUMER', stream, group, session.memberId])
}
