// The tables of the single loads.
import { grid } from './table.mjs'

const cores = {
  'server cores': (row) => row.cores.servers,
  'load cores': (row) => row.cores.load,
  'other cores': (row) => row.cores.others,
  'yardstick µs': (row) => row.yardstick,
}
const latency = { 'p50 ms': (row) => row.p50Ms, 'p99 ms': (row) => row.p99Ms }
const cost = (from, roles) => Object.fromEntries(roles.map((role) => [`${role} µs`, (row) => row[from][role]]))

function pathTable(rows) {
  const columns = {
    place: (row) => row.place,
    'offered/s': (row) => row.offered ?? 'most',
    'messages/s': (row) => row.messagesPerSecond,
    refused: (row) => row.refused,
    ...latency,
    'per commit': (row) => row.messagesPerCommit,
    ...cost('microsecondsPerMessage', ['redis', 'worker', 'producer', 'readerEach', 'servers']),
    'server cores': (row) => row.cores.servers,
    'other cores': (row) => row.cores.others,
    'yardstick µs': (row) => row.yardstick,
  }
  return `Path: 2 producers → worker → commit with history → 3 endpoints, 1,024 rooms over all 128 slots; µs of CPU per message.\n${grid(columns, rows)}`
}

const kinds = { quiet: 'fixed', half: 'half of it', highest: 'highest' }
function deliveryRows(name, part) {
  return Object.keys(kinds).flatMap((kind) => (part?.[kind] ? [{ load: name, kind: kinds[kind], ...part[kind] }] : []))
}

function deliveryTable({ hot, small, edges }) {
  const columns = {
    load: (row) => row.load,
    rate: (row) => row.kind,
    'events/s': (row) => row.rate,
    'deliveries/s': (row) => row.deliveriesPerSecond,
    ...latency,
    'writes per delivery': (row) => row.writesPerDelivery,
    ...cost('microsecondsPerDelivery', ['edge', 'ingest', 'worker', 'redis', 'servers']),
    ...cores,
  }
  const rows = [
    ...deliveryRows('hot room 1,000', hot?.hot1000),
    ...deliveryRows('hot room 5,000', hot?.hot5000),
    ...deliveryRows('small rooms', small),
    ...deliveryRows('two edges', edges),
  ]
  if (rows.length === 0) return undefined
  return `Deliveries: published through ingest in batches, one request at a time per connection; µs of CPU per delivery.\n${grid(columns, rows)}`
}

function filtersTable({ plain, filtered, filters, ratio }) {
  const columns = {
    filters: (row) => row.filters,
    'events/s': (row) => row.rate,
    'deliveries/s': (row) => row.deliveriesPerSecond,
    ...latency,
    ...cost('microsecondsPerDelivery', ['edge', 'servers']),
    ...cores,
  }
  const rows = [
    { filters: 0, ...plain },
    { filters, ...filtered },
  ]
  return `Filters: a room of 10,000; with ${filters} filters a delivery costs ${ratio.toFixed(2)} times as much; µs of CPU per delivery.\n${grid(columns, rows)}`
}

function cursorsTable({ without, conflated, plain, ratio, ratioPlain }) {
  const columns = {
    cursors: (row) => row.cursors,
    'others p50 ms': (row) => row.p50Ms,
    'others p99 ms': (row) => row.p99Ms,
    'moves sent/s': (row) => row.sentPerSecond,
    'moves heard/s': (row) => row.heardPerSecond,
    'moves p99 ms': (row) => row.cursorP99Ms,
    ...cores,
  }
  const rows = [
    { cursors: 'none', ...without },
    { cursors: 'conflated', ...conflated },
    { cursors: 'each move', ...plain },
  ]
  return `Cursors: 50 users move them 60 times a second in one room, 20 other rooms have 200 events/s. The others’ p99 is ${ratio.toFixed(2)} times as much, not conflated ${ratioPlain.toFixed(2)} times.\n${grid(columns, rows)}`
}

function idleTable(rows) {
  const columns = {
    connections: (row) => row.connections,
    users: (row) => row.users,
    'connects/s': (row) => row.connectsPerSecond,
    'KB each': (row) => row.kilobytesPerConnection,
    ...cost('microsecondsPerConnect', ['edge', 'worker', 'redis', 'servers']),
    'µs per idle second': (row) => row.microsecondsPerIdleSecond.servers,
    ...cores,
  }
  return `Idle: connections in 1,000 rooms; µs of CPU per connect.\n${grid(columns, rows)}`
}

function resumeTable(row) {
  const columns = {
    clients: (each) => each.clients,
    seconds: (each) => each.seconds,
    'turned away': (each) => each.again,
    positions: (each) => each.distinctPositions,
    'history reads': (each) => each.historyReads,
    'per position': (each) => each.readsPerPosition,
    'rooms loaded': (each) => each.roomLoads,
    ...cost('microsecondsPerClient', ['edge', 'worker', 'redis', 'servers']),
    ...cores,
  }
  return `Resume: all clients of an edge come back at once on another; µs of CPU per client.\n${grid(columns, [row])}`
}

function waysTable(rows) {
  const columns = {
    way: (row) => row.way,
    'offered/s': (row) => row.offered ?? 'most',
    'messages/s': (row) => row.messagesPerSecond,
    ...latency,
    ...cost('microsecondsPerMessage', ['edge', 'ingest', 'worker', 'redis', 'servers', 'load']),
    'yardstick µs': (row) => row.yardstick,
  }
  return `Ways to publish; µs of CPU per message.\n${grid(columns, rows)}`
}

function httpTable(rows) {
  const columns = {
    way: (row) => row.way,
    'posts/s': (row) => row.messagesPerSecond,
    'CPU µs': (row) => row.microseconds,
  }
  return `A single post in the process that takes it, no fleet behind it.\n${grid(columns, rows)}`
}

function commitTable(row) {
  const columns = {
    'messages/s': (each) => each.messagesPerSecond,
    'per commit': (each) => each.perCommit,
    'Redis µs': (each) => each.redisUsPerMessage,
    'Node µs': (each) => each.nodeUsPerMessage,
  }
  return `Commit alone, by one process: rooms over 32 slots, 3 outboxes, two in flight. The prototype: 6.7 + 3.2 µs.\n${grid(columns, [row])}`
}

/** Every load that was run. */
export function tables(report) {
  return [
    report.path && pathTable(report.path),
    deliveryTable(report),
    report.filters && filtersTable(report.filters),
    report.cursors && cursorsTable(report.cursors),
    report.idle && idleTable(report.idle),
    report.resume && resumeTable(report.resume),
    report.ways && waysTable(report.ways),
    report.http && httpTable(report.http),
    report.commit && commitTable(report.commit),
  ].filter(Boolean)
}
