// The unit costs that the arithmetic of capacity starts from: out of this machine's own runs, else those measured last.
import { costByCopies } from './demand.mjs'

/** Of the run that docs/performance.md shows. µs of CPU; bytes of Redis. */
export const measuredLast = {
  redisUsPerMessage: { base: 7.4, perCopy: 0.31 },
  workerUsPerMessage: { base: 9.5, perCopy: 0.27 },
  edgeUsPerCopy: 2.5,
  ingestUsPerMessage: 17,
  edgeUsPerDelivery: 18,
  edgeUsPerIdleSecond: 1,
  edgeKilobytes: 6.5,
  roomBytes: 4_305,
  interestBytes: 99,
  eventBytes: 277,
}

/** By name: which file a figure comes from, and how; undefined where that part was not run. */
const sources = {
  redisUsPerMessage: { file: 'growth', read: ({ copies }) => copies && byCopies(copies, 'redis') },
  workerUsPerMessage: { file: 'growth', read: ({ copies }) => copies && byCopies(copies, 'worker') },
  edgeUsPerCopy: { file: 'growth', read: ({ copies }) => copies && byCopies(copies, 'out').perCopy },
  ingestUsPerMessage: { file: 'bench', read: ({ ways }) => batches(ways)?.microsecondsPerMessage.ingest },
  edgeUsPerDelivery: { file: 'bench', read: ({ small }) => small?.half?.microsecondsPerDelivery.edge },
  edgeUsPerIdleSecond: { file: 'growth', read: ({ connections }) => connections && idleOfOneMore(connections.rows) },
  edgeKilobytes: { file: 'growth', read: ({ connections }) => connections?.rows.at(-1).kilobytesPerConnection },
  roomBytes: { file: 'growth', read: ({ rooms }) => rooms?.rows.at(-1).redisBytesPerRoom.log },
  interestBytes: { file: 'growth', read: ({ rooms }) => rooms?.rows.at(-1).redisBytesPerRoom.interest },
  eventBytes: { file: 'growth', read: ({ history }) => history && largestFill(history.rows) },
}

const byCopies = ({ rows }, kind) => costByCopies(rows.map((row) => ({ copies: row.at, us: row.microseconds[kind] })))
const batches = (ways) => ways?.find(({ way, offered }) => way === 'batches' && offered === null)
const largestFill = (rows) => rows.findLast(({ redisBytesPerEvent }) => redisBytesPerEvent !== null)?.redisBytesPerEvent

/** What the edge spends on one connection more: heartbeats of an empty fleet are not of connections. */
function idleOfOneMore(rows) {
  const [first, last] = [rows[0], rows.at(-1)]
  const spent = (row) => row.at * row.microsecondsPerIdleSecond.edge
  return last.at === first.at ? undefined : (spent(last) - spent(first)) / (last.at - first.at)
}

/** `{ units, from }`: each figure and the file it is from. */
export function figuresFrom({ bench = {}, growth = {} }) {
  const reports = { bench, growth: growth.curves ?? {} }
  const entries = Object.entries(sources).map(([name, { file, read }]) => {
    const value = read(reports[file])
    return value === undefined ? [name, measuredLast[name], 'measured last'] : [name, value, `out/${file}.json`]
  })
  return {
    units: Object.fromEntries(entries.map(([name, value]) => [name, value])),
    from: Object.fromEntries(entries.map(([name, , file]) => [name, file])),
  }
}
