/**
 * Publishes into one room of every slot, as an ingest process does, and keeps account of how long each slot took to answer.
 * Started by the recovery runs, asked over IPC.
 */
import { createEndpoint } from '@flotilla/node/endpoint'
import { createLog } from '@flotilla/node/log'
import { createScope } from '@flotilla/node/scope'
import { openStore } from '@flotilla/node/store/open'
import { slotOf } from '@flotilla/core/slot'
import { answerCalls } from './harness/processes.mjs'
import { clock } from './harness/samples.mjs'

const slots = 128
const tickMs = 5
const config = {
  redisUrl: process.env.FLOTILLA_REDIS_URL,
  ...{ redisCluster: false, redisPrefix: '', redisCommandTimeoutMs: 2_000, slots, lanes: null },
  ackReplicas: Number(process.env.RECOVERY_ACK_REPLICAS ?? 0),
}
const id = process.env.RECOVERY_ID ?? 'publisher'
const log = createLog({ service: 'recovery', level: 'error' })
const scope = createScope(log)
const store = await openStore(config, { log, scope })
const endpoint = await createEndpoint({
  ...{ role: 'ingest', memberId: id, version: '0.1.0', store, log, scope },
  ...{ onRecords: () => {}, onResync: () => {} },
})

/** A room of each slot. */
const rooms = []
for (let i = 0; rooms.filter(Boolean).length < slots; i += 1) rooms[slotOf(`public:r${i}`, slots)] ??= `public:r${i}`

let published = 0
/** Without an outcome so far. */
const under = new Map()
let outcomes = []

/** The time at which it was due counts: who is late has waited. */
function publish(slot, sentAt) {
  published += 1
  under.set(published, { slot, sentAt })
  const number = published
  const message = {
    room: rooms[slot],
    key: `${id}.${published}`,
    sender: 'recovery',
    options: '',
    tail: '"event":"e","data":1',
  }
  endpoint.publish(message, ({ type }) => {
    under.delete(number)
    outcomes.push({ slot, sentAt, settledAt: clock(), type })
  })
}

let publishing = false
async function keepPublishing(perSecond) {
  publishing = true
  const startedAt = clock()
  for (let sent = 0; publishing;) {
    const due = Math.floor(((clock() - startedAt) / 1_000) * perSecond)
    for (; sent < due; sent += 1) publish(sent % slots, startedAt + (sent / perSecond) * 1_000)
    await new Promise((resolve) => setTimeout(resolve, tickMs))
  }
}

answerCalls({
  start: async ({ perSecond }) => void keepPublishing(perSecond),
  stop: async () => {
    publishing = false
  },
  forget: async () => {
    outcomes = []
  },
  latencies: async () => ({
    samples: outcomes.map(({ sentAt, settledAt }) => settledAt - sentAt),
    lost: under.size + outcomes.filter(({ type }) => type !== 'committed').length,
  }),
  /** Of every slot: the longest from a publish since then to its outcome, when the first one since then was committed, and what was not. */
  since: async ({ at }) => {
    const seen = Array.from({ length: slots }, (_, slot) => ({ slot, worstMs: 0, servedAt: null, failed: 0 }))
    for (const { slot, sentAt, settledAt, type } of outcomes) {
      if (sentAt < at) continue
      const own = seen[slot]
      own.worstMs = Math.max(own.worstMs, settledAt - sentAt)
      if (type !== 'committed') own.failed += 1
      else own.servedAt = Math.min(own.servedAt ?? Infinity, settledAt)
    }
    for (const { slot, sentAt } of under.values())
      if (sentAt >= at) seen[slot].worstMs = Math.max(seen[slot].worstMs, clock() - sentAt)
    return { seen }
  },
})
