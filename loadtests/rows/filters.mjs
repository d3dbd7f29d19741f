// A room of 10,000 of whom each has one of 50 filters, beside the same room without: what judging costs.
import { quietly } from './fanout.mjs'
import { cost, median } from '../harness/search.mjs'

const room = { perEdge: 10_000, rooms: 1, connections: 1, warm: 50, quiet: 10 }
/** All of them let every event through, so that as much is written with them as without. */
const filters = 50

/** `{ plain, filtered, ratio }`: µs of CPU per delivery, and how many times as much it is with filters. */
export async function filtered(context) {
  const plain = median(await quietly(room, context))
  const wishes = median(await quietly({ ...room, filters }, context))
  return { plain, filtered: wishes, filters, ratio: cost(wishes) / cost(plain) }
}
