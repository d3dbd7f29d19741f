// The report as text, next to what the design's prototype cost (the design's section "Numbers to respect").
const prototype = {
  /** Whole path at its most, few slots: µs per message, all Node processes together. */
  path: { redis: 4.65, node: 4.1 },
  /** The commit alone, rooms over all slots, 64 messages per commit. */
  commit: { redis: 6.7, node: 3.2 },
  /** One room of 1,000 on one edge: events per second → µs of the edge per delivery. */
  hotRoom: { 200: 3.9, 1000: 0.84 },
}

const number = (value, digits = 1) =>
  value === null || value === undefined || Number.isNaN(value) ? '–' : value.toFixed(digits)
const thousands = (value) => Math.round(value).toLocaleString('en-US')
const ratio = (value, base) => (base === undefined ? '–' : `${(value / base).toFixed(1)} ×`)

function grid(head, rows) {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i].length)))
  const line = (cells) => `| ${cells.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n')
}

const pathHead = [
  'offered/s',
  'committed/s',
  'refused',
  'p50 ms',
  'p99 ms',
  'per commit',
  'Redis µs',
  'worker µs',
  'producer µs',
  'reader µs',
  'Redis : 4.65',
  'Node : 4.1',
  'Redis : 6.7',
  'worker : 3.2',
]
function pathRow(row) {
  const { redis, worker, producer, reader } = row.microsecondsPerMessage
  return [
    row.rate === 'most' ? 'most' : thousands(row.rate),
    thousands(row.messagesPerSecond),
    thousands(row.refused),
    number(row.p50Ms),
    number(row.p99Ms),
    number(row.messagesPerCommit),
    number(redis),
    number(worker),
    number(producer),
    number(reader),
    ratio(redis, prototype.path.redis),
    ratio(worker + producer + reader, prototype.path.node),
    ratio(redis, prototype.commit.redis),
    ratio(worker, prototype.commit.node),
  ]
}

const hotHead = [
  'events/s',
  'deliveries/s',
  'p50 ms',
  'p99 ms',
  'per write',
  'edge µs',
  'Redis µs',
  'worker µs',
  'ingest µs',
  'edge cores',
  'load cores',
  'edge : prototype',
]
function hotRow(row) {
  const { edge, redis, worker, ingest } = row.microsecondsPerDelivery
  return [
    String(row.eventsPerSecond),
    thousands(row.deliveriesPerSecond),
    number(row.p50Ms),
    number(row.p99Ms),
    number(row.deliveriesPerWrite),
    number(edge, 2),
    number(redis, 2),
    number(worker, 2),
    number(ingest, 2),
    number(row.coresOfEdge, 2),
    number(row.coresOfLoad, 2),
    ratio(edge, prototype.hotRoom[row.eventsPerSecond]),
  ]
}

const commitHead = ['messages/s', 'per commit', 'Redis µs', 'Node µs', 'Redis : 6.7', 'Node : 3.2']
function commitRow({ messagesPerSecond, perCommit, redisUsPerMessage, nodeUsPerMessage }) {
  return [
    thousands(messagesPerSecond),
    String(perCommit),
    number(redisUsPerMessage),
    number(nodeUsPerMessage),
    ratio(redisUsPerMessage, prototype.commit.redis),
    ratio(nodeUsPerMessage, prototype.commit.node),
  ]
}

export function table({ machine, commit, path, hotRoom }) {
  const { cpu, cores, node, pinned, load } = machine
  const place = pinned ? 'servers on core 0, load on core 1' : 'not pinned'
  const busy = `load average ${number(load.before, 2)} before, ${number(load.after, 2)} after`
  return [
    `${cpu}, ${cores} cores, Node ${node}, ${place}; ${busy}.`,
    '',
    'Commit alone: rooms over 32 slots, 3 outboxes, two in flight, composed and sent by one process.',
    grid(commitHead, [commitRow(commit)]),
    '',
    'Path: producer → worker → commit with history → 3 endpoints; 1,024 rooms over all 128 slots.',
    grid(pathHead, path.map(pathRow)),
    'µs of CPU per message; reader: one of the three. Prototype: whole path Redis 4.65, Node 4.1; commit of 64 Redis 6.7, Node 3.2.',
    '',
    'Hot room: 1,000 subscribers on one edge, published through ingest in batches.',
    grid(hotHead, hotRoom.map(hotRow)),
    'µs of CPU per delivery. Prototype of the edge alone: 3.9 µs at 200 events/s, 0.84 µs at 1,000 (10 ms tick).',
    '',
  ].join('\n')
}
