/**
 * Posts events to ingest at a pace that nothing slows down (open loop): an event carries the time at which it was due,
 * however late it is posted. Over one connection goes one request at a time, and a room always goes over the same one, so
 * that the order of its events is the publisher's. Started by the benchmark, asked over IPC.
 */
import { HttpConnection } from './harness/http-connection.mjs'
import { answerCalls, sleep } from './harness/processes.mjs'
import { clock } from './harness/samples.mjs'

/** Events of one batch: what ingest takes. */
const maxBatch = 500
const padding = 'x'.repeat(64)
/** Counts up over all runs: the readers check that they see it grow. */
let count = 0

const eventText = (room, n, t) =>
  `{"room":"public:bench-${room}","event":"bench","data":{"t":${t},"n":${n},"p":"${padding}"}}`

/** What became of the events of a run, by room. */
function createTally(rooms) {
  const accepted = Array.from({ length: rooms }, () => 0)
  const tally = { accepted, refused: 0, unknown: 0, posts: 0 }
  return {
    tally,
    add(room, code) {
      if (code === 'OK') accepted[room] += 1
      else if (code === 'UNKNOWN' || code === 'INTERNAL_ERROR') tally.unknown += 1
      else tally.refused += 1
    },
  }
}

const codeOf = (answer) => (answer.status === 202 ? 'OK' : answer.code)

async function postBatch(connection, events, { tally, add }) {
  tally.posts += 1
  const body = `{"events":[${events.map(({ text }) => text).join(',')}]}`
  const { status, text } = await connection.post('/v1/events/batch', body)
  if (status !== 200) throw new Error(`a batch was answered ${status}: ${text.slice(0, 300)}`)
  // Answers are looked at one by one only when one of them is not "accepted".
  const results = /"status":(?!202)/.test(text) ? JSON.parse(text).results : undefined
  events.forEach(({ room }, i) => add(room, results === undefined ? 'OK' : codeOf(results[i])))
}

async function postSingle(connection, [event], { tally, add }) {
  tally.posts += 1
  const { status, text } = await connection.post('/v1/events', event.text)
  add(event.room, status === 202 ? 'OK' : JSON.parse(text).code)
}

/** One connection and its rooms: every `step`th event from `first`. */
async function lane({ connection, first, step, run }) {
  const { rooms, rate, total, startedAt, base, single, tally } = run
  const most = single ? 1 : maxBatch
  for (let i = first; i < total;) {
    const dueAt = startedAt + (i / rate) * 1_000
    const early = dueAt - clock()
    if (early > 0) {
      await sleep(Math.max(1, Math.floor(early)))
      continue
    }
    const due = Math.min(total, Math.floor(((clock() - startedAt) / 1_000) * rate) + 1)
    const events = []
    for (; i < due && events.length < most; i += step) {
      events.push({ room: i % rooms, text: eventText(i % rooms, base + i, startedAt + (i / rate) * 1_000) })
    }
    await (single ? postSingle : postBatch)(connection, events, tally)
  }
}

const calls = {
  /** `rooms` is a multiple of `connections`. */
  publish: async ({ port, key, rooms, rate, seconds, connections, single = false }) => {
    // The same number of events in every room.
    const total = Math.max(1, Math.round((rate * seconds) / rooms)) * rooms
    const tally = createTally(rooms)
    const run = { rooms, rate, total, startedAt: clock(), base: count, single, tally }
    count += total
    const open = Array.from({ length: connections }, () => new HttpConnection({ port, key }))
    try {
      await Promise.all(open.map((connection, i) => lane({ connection, first: i, step: connections, run })))
    } finally {
      for (const connection of open) connection.close()
    }
    return { ...tally.tally, published: total, seconds: (clock() - run.startedAt) / 1_000 }
  },
}
answerCalls(calls)
