// Members per room 1 → 10,000: the same connections, events and deliveries, only differently grouped.
import { deliver } from '../harness/delivery.mjs'
import { counted } from '../harness/redis-calls.mjs'
import { withCrowd } from '../rows/fanout.mjs'
import { deliveryPoint } from './point.mjs'

const size = 10_000
const deliveriesPerSecond = 5_000

export const members = {
  title: 'members of a room',
  load: `${size} connections on one edge, ${deliveriesPerSecond} deliveries/s`,
  points: [1, 10, 100, 1_000, 10_000],
  quickPoints: [1, 100, 10_000],
  run: (points, context) =>
    withCrowd({ perEdge: size, rooms: size / 10, connections: 2 }, {}, (parts) => regroup(parts, points, context)),
}

async function regroup(parts, points, { settings, progress }) {
  const rows = []
  for (const at of points) {
    const rooms = size / at
    const prefix = `public:of${at}`
    await Promise.all(parts.crowds.map((crowd) => crowd.move({ prefix, rooms })))
    // Interest in the rooms that everybody left is withdrawn 3 s later.
    await parts.fleet.quiet()
    const place = { prefix, messages: 0, moves: 0 }
    // A room always goes over the same connection: there are never fewer rooms than connections.
    const all = { ...parts, rooms, place, connections: Math.min(rooms, parts.connections) }
    const rate = deliveriesPerSecond / at
    await deliver(all, { rate, seconds: settings.warmSeconds })
    const row = deliveryPoint(await counted(parts.fleet, () => deliver(all, { rate, seconds: settings.seconds })))
    progress(`${at} members: ${row.microseconds.servers.toFixed(1)} µs per delivery`)
    const perDelivery = row.writesPerDelivery.toFixed(2)
    rows.push({ at, ...row, besides: `${rooms} rooms, ${perDelivery} writes per delivery` })
  }
  return rows
}
