// What may not grow beyond what, and by which variable it is bound.
import * as limits from '@flotilla/core/limits'
import { maintainEveryMs } from '@flotilla/core/lane-maintenance'

/** Defaults of docs/config.md. */
const slots = 128
const maxInFlight = 20_000
const maxConnections = 20_000
/** A producer appends to a slot at the most once in so many ms while it is busy; input is trimmed once a second. */
const appendEveryMs = 2
/** A trim is asked for when there are so many messages to trim, and lets nodes of a stream stay whole. */
const trimStep = 64
const nodeEntries = 100
/** What happens once a second may be that late, and the worker's window keeps whole seconds together. */
const slackMs = 5_000
const keysOfFleet = 5

const of = (kind, figure) => (sample) => sample.kinds[kind]?.[figure] ?? 0

/** Each `{ name, variable, limit, value(sample, samples before it), fromSeconds }`: samples before that are not judged. */
export function boundsOf(shape) {
  const { producers, edges, rooms, lanes } = shape
  const acked = maintainEveryMs / appendEveryMs
  const within = ((limits.dedupeMs + slackMs) / 1_000) * shape.roomEventsPerSecond
  const rows = [
    ['input streams', 'FLOTILLA_SLOTS', slots, of('in', 'keys')],
    [
      'entries of an input stream',
      'maxWindowEntries',
      producers * (limits.maxWindowEntries + 2 * acked),
      of('in', 'most'),
    ],
    ['bytes of input streams', 'maxWindowBytes', producers * limits.maxWindowBytes, of('in', 'bytes')],
    ['outboxes', 'FLOTILLA_LANES', lanes * producers, of('out', 'keys')],
    ['entries of an outbox', 'maxOutboxEntries', limits.maxOutboxEntries + nodeEntries, of('out', 'most')],
    ['room logs', 'rooms', rooms, of('log', 'keys')],
    [
      'entries of a room log',
      'historyEvents, dedupeMs',
      Math.ceil(Math.max(limits.historyEvents, within)) + trimStep + nodeEntries,
      of('log', 'most'),
      // Before that a log has what the search for the highest load published.
      limits.dedupeMs / 1_000 + slackMs / 1_000,
    ],
    ['messages of a room log', 'dedupeMax', limits.dedupeMax, of('log', 'messages')],
    ['keys that the worker remembers', 'maxRememberedKeys', limits.maxRememberedKeys, remembered],
    ['slot hashes', 'FLOTILLA_LANES', lanes, of('slots', 'keys')],
    ['slots in them', 'FLOTILLA_SLOTS', slots, of('slots', 'entries')],
    ['interest hashes', 'FLOTILLA_SLOTS', slots, of('interest', 'keys')],
    ['interest in rooms', 'rooms × edges', shape.interest, of('interest', 'entries')],
    ['dead letters', '–', 0, of('dead', 'keys')],
    ['members', 'processes', shape.processes, of('members', 'entries')],
    ['keys of the fleet', '–', keysOfFleet, of('fleet', 'keys')],
    ['other keys', '–', 0, of('other', 'keys')],
    ['connections', 'FLOTILLA_EDGE_MAX_CONNECTIONS', edges * maxConnections, (sample) => sample.held.connections],
    ['bytes in a window', 'maxWindowBytes', limits.maxWindowBytes, (sample) => sample.held.windowBytes],
    ['publishes in flight', 'FLOTILLA_INGEST_MAX_IN_FLIGHT', maxInFlight, (sample) => sample.held.inFlight],
  ]
  return rows.map(([name, variable, limit, value, fromSeconds = 0]) => ({ name, variable, limit, value, fromSeconds }))
}

/** A key is remembered for two minutes: as many as there were messages in them. */
function remembered(sample, before) {
  const from = before.find(({ seconds }) => sample.seconds - seconds <= limits.dedupeMs / 1_000)
  return sample.held.messages - (from?.held.messages ?? sample.held.messages)
}

/** Of each bound the most that was seen, what it was at the end, and whether it held. */
export function judgeBounds(bounds, samples) {
  return bounds.map(({ name, variable, limit, value, fromSeconds }) => {
    const values = samples.flatMap((sample, i) =>
      sample.seconds < fromSeconds ? [] : [value(sample, samples.slice(0, i))],
    )
    const most = Math.max(...values)
    return { name, variable, limit, most, last: values.at(-1), held: most <= limit }
  })
}
