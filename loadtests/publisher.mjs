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

/** With `keyed` the event has an id, so that it may be posted again and stays one. */
function eventText(room, { n, t, keyed }) {
  const id = keyed ? `"id":"${room}.${n}",` : ''
  return `{${id}"room":"${room}","event":"bench","data":{"t":${t},"n":${n},"p":"${padding}"}}`
}

/** What became of the events of a run, by room. */
function createTally(rooms) {
  const accepted = Array.from({ length: rooms }, () => 0)
  const tally = { accepted, refused: 0, unknown: 0, repeats: 0, posts: 0 }
  return {
    tally,
    add({ room, repeat = false }, code) {
      if (repeat && code === 'OK') tally.repeats += 1
      else if (code === 'OK') accepted[room] += 1
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
  events.forEach((event, i) => add(event, results === undefined ? 'OK' : codeOf(results[i])))
}

async function postSingle(connection, [event], { tally, add }, path) {
  tally.posts += 1
  const { status, text } = await connection.post(path, event.text)
  add(event, status === 202 ? 'OK' : JSON.parse(text).code)
}

/** The events of a lane that are due now, from the `i`th on. Without a rate a full batch always is, until time is over. */
function dueEvents(i, { step, run }) {
  const { prefix, rooms, rate, total, startedAt, endAt, base, most, repeatEvery } = run
  const now = clock()
  const dueAt = (event) => (rate === null ? now : startedAt + (event / rate) * 1_000)
  const passed = Math.floor(((now - startedAt) / 1_000) * rate)
  const due = rate === null ? (now < endAt ? Infinity : 0) : Math.min(total, passed + 1)
  const events = []
  for (let event = i; event < due && events.length < most; event += step) {
    const room = event % rooms
    const n = base + event
    events.push({ room, n, text: eventText(`${prefix}-${room}`, { n, t: dueAt(event), keyed: repeatEvery > 0 }) })
  }
  return events
}

/** One connection and its rooms: every `step`th event from `first`. Returns how many it has posted. */
async function lane({ connection, first, step, run }) {
  const { rate, total, startedAt, endAt, single, path, tally, repeatEvery } = run
  let i = first
  let again = []
  const over = () => (rate === null ? clock() >= endAt : i >= total)
  while (!over()) {
    const early = rate === null ? 0 : startedAt + (i / rate) * 1_000 - clock()
    if (early > 0) await sleep(Math.max(1, Math.floor(early)))
    const events = dueEvents(i, { step, run })
    if (events.length === 0) continue
    await (single ? postSingle : postBatch)(connection, [...events, ...again], tally, path)
    again = events.filter(({ n }) => n % repeatEvery === 0).map((event) => ({ ...event, repeat: true }))
    i += events.length * step
  }
  return (i - first) / step
}

const calls = {
  /**
   * `rate` null: as fast as it goes. `rooms` is a multiple of `connections`. `most`: events per batch. `repeatEvery`: one
   * event in so many is posted again in the next batch, under the same id.
   */
  publish: async (message) => {
    const { port, key, prefix = 'public:bench', rooms, rate, seconds, connections } = message
    const { single = false, path = '/v1/events', repeatEvery = 0 } = message
    const { most = single ? 1 : repeatEvery > 0 ? maxBatch / 2 : maxBatch } = message
    // The same number of events in every room.
    const total = rate === null ? Infinity : Math.max(1, Math.round((rate * seconds) / rooms)) * rooms
    const tally = createTally(rooms)
    const startedAt = clock()
    const endAt = startedAt + seconds * 1_000
    const run = { prefix, rooms, rate, total, startedAt, endAt, base: count, single, path, most, repeatEvery, tally }
    const open = Array.from({ length: connections }, () => new HttpConnection({ port, key }))
    let posted
    try {
      posted = await Promise.all(open.map((connection, i) => lane({ connection, first: i, step: connections, run })))
    } finally {
      for (const connection of open) connection.close()
    }
    count += Math.max(...posted) * connections
    const published = posted.reduce((sum, each) => sum + each, 0)
    return { ...tally.tally, published, seconds: (clock() - startedAt) / 1_000 }
  },
}
answerCalls(calls)
