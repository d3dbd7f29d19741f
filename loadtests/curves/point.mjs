// A point of a curve: what one message or delivery costs there.

/** Of the processes that a load has: `in` is what publishes (ingest, or a producer without HTTP), `out` what delivers. */
function byKind({ redis, worker, control, ingest, producer, edge, reader, servers }) {
  return { redis, worker, control, in: ingest ?? producer, out: edge ?? reader, servers }
}

const shared = ({ p50Ms, p99Ms, cores, yardstick, calls }, units) => ({
  p50Ms,
  p99Ms,
  cores,
  yardstick,
  calls: Object.fromEntries(Object.entries(calls).map(([command, count]) => [command, count / units])),
})

/** Of a run of `drive`: per message. */
export const messagePoint = (row) => ({
  unit: 'message',
  offered: row.offered,
  microseconds: byKind(row.microsecondsPerMessage),
  messagesPerSecond: row.messagesPerSecond,
  messagesPerCommit: row.messagesPerCommit,
  ...shared(row, row.messages),
})

/** Of a run of `deliver`: per delivery. Refusals would make the figures look better than they are. */
export function deliveryPoint(row) {
  if (row.refused + row.unknown > 0) throw new Error(`${row.refused + row.unknown} events were refused`)
  return {
    unit: 'delivery',
    offered: row.rate,
    microseconds: byKind(row.microsecondsPerDelivery),
    writesPerDelivery: row.writesPerDelivery,
    ...shared(row, row.deliveries),
  }
}
