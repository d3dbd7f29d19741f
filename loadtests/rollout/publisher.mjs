// Posts events to ingest at a pace, each under an id, and again under the same one until it is acknowledged.
import { Agent, request } from 'node:http'
import { sleep } from '../harness/processes.mjs'
import { clock } from '../harness/samples.mjs'
import { openRooms, roomName } from './guard.mjs'

const tickMs = 10
const retryMs = 50
const maxBatch = 100
/** Once it is to stop, what is not acknowledged yet is tried for so long, ms; then the run has failed. */
const stopWithinMs = 60_000

function post({ host = '127.0.0.1', port, key, agent }, body) {
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    }
    const options = {
      port,
      host,
      method: 'POST',
      path: '/v1/events/batch',
      headers,
      agent,
      timeout: 15_000,
    }
    const asked = request(options, (response) => {
      const chunks = []
      response.on('data', (chunk) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(Buffer.concat(chunks).toString()).results)
        else reject(new Error(`answered ${response.statusCode}`))
      })
    })
    asked.on('timeout', () => asked.destroy(new Error('no answer')))
    asked.on('error', reject)
    asked.end(body)
  })
}

/** What was acknowledged so far. */
function createAccount() {
  /** Room → the last position acknowledged. */
  const heads = new Map()
  /** Room → how many events were acknowledged, each counted once. */
  const acknowledged = new Map()
  /** Room → by position, when the event that was acknowledged there was due: no two were at once. */
  const history = new Map()
  return {
    ...{ heads, acknowledged, history },
    note: ({ room, data }, { seq }) => {
      acknowledged.set(room, (acknowledged.get(room) ?? 0) + 1)
      heads.set(room, Math.max(heads.get(room) ?? 0, seq))
      if (!history.has(room)) history.set(room, [])
      history.get(room)[seq] = data.t
    },
  }
}

/**
 * `rate` events per second over `rooms` rooms until stopped. Every room's events go through one lane, one batch at a time. `onAck` is told the
 * room and when the event was due.
 */
export function startPublisher({ rate, rooms, types = openRooms, lanes = 4, onAck = () => {}, ...ingest }) {
  const agent = new Agent({ keepAlive: true })
  const { note, ...account } = createAccount()
  const sum = { events: 0, retries: 0 }
  const queues = Array.from({ length: lanes }, () => [])
  const startedAt = clock()
  let stopped = false
  let giveUpAt = Infinity

  async function produce() {
    for (let n = 0; !stopped;) {
      const due = Math.floor(((clock() - startedAt) / 1_000) * rate)
      for (; n < due; n += 1) {
        const [room, t] = [n % rooms, startedAt + (n / rate) * 1_000]
        queues[room % lanes].push({ id: `e${n}`, room: roomName(types, room), event: 'demo', data: { t } })
      }
      await sleep(tickMs)
    }
  }

  /** What is refused or not known goes again before anything of its lane that was not sent yet. */
  async function send(queue) {
    while (!stopped || queue.length > 0) {
      if (clock() > giveUpAt) throw new Error(`${queue.length} events were not acknowledged within ${stopWithinMs} ms`)
      const batch = queue.splice(0, maxBatch)
      if (batch.length === 0) {
        await sleep(tickMs)
        continue
      }
      const again = await attempt(batch)
      queue.unshift(...again)
      if (again.length > 0) await sleep(retryMs)
    }
  }

  async function attempt(batch) {
    let results
    try {
      results = await post({ ...ingest, agent }, JSON.stringify({ events: batch }))
    } catch {
      sum.retries += 1
      return batch
    }
    return batch.filter((event, i) => {
      const { status, results: rooms } = results[i]
      if (status !== 202) {
        sum.retries += 1
        return true
      }
      sum.events += 1
      onAck(event.room, event.data.t)
      note(event, rooms[0].position)
      return false
    })
  }

  const done = Promise.all([produce(), ...queues.map(send)])
  return {
    ...account,
    sum,
    stop: async () => {
      stopped = true
      giveUpAt = clock() + stopWithinMs
      await done
      agent.destroy()
    },
  }
}
