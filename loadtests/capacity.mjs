/**
 * node loadtests/capacity.mjs: the fleet for a million connections and up to a million events per second, by arithmetic from
 * what was measured: out/bench.json and out/growth.json where they are, else the figures of docs/performance.md.
 */
import { readFileSync } from 'node:fs'
import { fleetFor, machine } from './capacity/demand.mjs'
import { figuresFrom } from './capacity/figures.mjs'
import { figure, grid } from './report/table.mjs'

const connections = 1_000_000
const members = 10
const rates = [0, 10_000, 100_000, 1_000_000]

function reportOf(name) {
  try {
    return JSON.parse(readFileSync(`out/${name}.json`, 'utf8'))
  } catch {
    return {}
  }
}

const { units, from } = figuresFrom({ bench: reportOf('bench'), growth: reportOf('growth') })
const shown = {
  redisUsPerMessage: 'Redis, µs per event',
  workerUsPerMessage: 'worker, µs per event',
  ingestUsPerMessage: 'ingest, µs per event, in batches',
  edgeUsPerCopy: 'edge, µs per event that it takes',
  edgeUsPerDelivery: 'edge, µs per delivery to a socket',
  edgeUsPerIdleSecond: 'edge, µs per second of an idle connection',
  edgeKilobytes: 'edge, KB per connection',
  roomBytes: 'Redis, bytes of a room with one event',
  interestBytes: 'Redis, bytes of an edge’s interest in a room',
  eventBytes: 'Redis, bytes of an event in the history',
}
const cost = (value) =>
  typeof value === 'number' ? figure(value) : `${figure(value.base)} + ${figure(value.perCopy)} per edge with members`
const unitTable = grid(
  { 'what a unit costs': ([, text]) => text, figure: ([name]) => cost(units[name]), from: ([name]) => from[name] },
  Object.entries(shown),
)
const count = (value) => Math.round(value).toLocaleString('en-US')
const fleetTable = grid(
  {
    'events/s': (row) => count(row.eventsPerSecond),
    'deliveries/s': (row) => count(row.deliveriesPerSecond),
    'edges of a room': (row) => figure(row.copies),
    edges: (row) => count(row.edges),
    workers: (row) => count(row.workers),
    ingest: (row) => count(row.ingest),
    'Redis primaries': (row) => count(row.primaries),
    'machines of 16 cores': (row) => count(row.machines),
    'GB of edges': (row) => figure(row.edgeGigabytes),
    'GB of Redis': (row) => figure(row.redisGigabytes),
    'GB per primary': (row) => figure(row.redisGigabytesEach),
  },
  rates.map((eventsPerSecond) => ({
    eventsPerSecond,
    ...fleetFor({ connections, members, eventsPerSecond }, units),
  })),
)
process.stdout.write(
  `${unitTable}\n\n${count(connections)} connections, each in one room of ${members}; machines of ${machine.cores} cores and ` +
    `${machine.gigabytes} GB, a core at most 60 % busy:\n\n${fleetTable}\n`,
)
