// Publishes into a JetStream stream, over every outage of the server, and reads the stream back.
import { AckPolicy, DeliverPolicy, RetentionPolicy, StorageType, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import { sleep } from '../harness/processes.mjs'

/** Publishes that wait for their acknowledgement at a time. */
const inFlight = 64
const ackWithinMs = 1_000
const againAfterMs = 100
const limitEveryMs = 5

const options = (url) => ({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 50, waitOnFirstConnect: true })

async function withConnection(url, run) {
  const connection = await connect(options(url))
  try {
    return await run(connection)
  } finally {
    await connection.close()
  }
}

export function createStream(url, name) {
  return withConnection(url, async (connection) => {
    const manager = await jetstreamManager(connection)
    const { Limits: retention } = RetentionPolicy
    await manager.streams.add({ name, subjects: ['task.>'], storage: StorageType.File, retention })
  })
}

/** One event after the other, several at a time and up to `limit()`; what is not acknowledged is published again under the same id. */
export function startPublisher({ url, events, rooms, limit }) {
  const counts = { again: 0 }
  let next = 0
  async function publishOn(client) {
    while (next < events) {
      if (next >= limit()) {
        await sleep(limitEveryMs)
        continue
      }
      const n = next
      next += 1
      const subject = `task.r${n % rooms}.step`
      const data = JSON.stringify({ id: `e${n}`, filler: 'x'.repeat(100) })
      for (;;) {
        try {
          await client.publish(subject, data, { msgID: `e${n}`, timeout: ackWithinMs })
          break
        } catch {
          counts.again += 1
          await sleep(againAfterMs)
        }
      }
    }
  }
  const finished = withConnection(url, async (connection) => {
    const client = jetstream(connection)
    await Promise.all(Array.from({ length: inFlight }, () => publishOn(client)))
  })
  return {
    finished,
    get again() {
      return counts.again
    },
  }
}

/** Every event of the stream in its order, and how often the bridge's consumer gave one out. */
export function readStream(url, { stream: name, durable }) {
  return withConnection(url, async (connection) => {
    const manager = await jetstreamManager(connection)
    const { delivered } = await manager.consumers.info(name, durable)
    const { state } = await manager.streams.info(name)
    const reader = await manager.consumers.add(name, {
      durable_name: 'reader',
      ack_policy: AckPolicy.None,
      deliver_policy: DeliverPolicy.All,
    })
    const consumer = await jetstream(connection).consumers.get(name, reader.name)
    const stream = []
    while (stream.length < state.messages) {
      const messages = await consumer.fetch({
        max_messages: Math.min(1_000, state.messages - stream.length),
        expires: 5_000,
      })
      for await (const message of messages) {
        stream.push({ id: message.json().id, room: `public:${message.subject.split('.')[1]}` })
      }
    }
    return { stream, deliveries: delivered.consumer_seq }
  })
}
