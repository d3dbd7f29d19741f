// This run beside others and beside the bars.
import { columns, others } from './others.mjs'
import { figure, grid } from './table.mjs'

const servers = (row) => row.microsecondsPerMessage.servers

function pathFigures(rows) {
  const open = rows.find(({ offered, place }) => offered === null && place === 'two cores, unpinned')
  return { 'path: messages/s, two cores, unpinned': open.messagesPerSecond, 'path: CPU µs per message': servers(open) }
}
/** 0 where no rate kept the bound. */
const highest = (name, part) => ({ [`${name}: highest deliveries/s`]: part.highest?.deliveriesPerSecond ?? 0 })
const quiet = (name, { quiet: row }) => ({
  [`${name}: CPU µs per delivery`]: row.microsecondsPerDelivery.servers,
  [`${name}: p99 ms`]: row.p99Ms,
})
/** The worse of both rows: at a rate all are kept waiting by the same commits, as fast as it goes only by themselves. */
function waysFigures(rows) {
  const ratio = (some) => Math.max(...some.map(servers)) / Math.min(...some.map(servers))
  const [atRate, most] = [
    rows.filter(({ offered }) => offered !== null),
    rows.filter(({ offered }) => offered === null),
  ]
  return { 'slowest way to publish : fastest, CPU per message': Math.max(ratio(atRate), ratio(most)) }
}

/** From each load that was run its figures, by the names of `others`. */
const figuresOf = {
  path: pathFigures,
  hot: ({ hot1000, hot5000 }) => ({
    ...highest('hot room 1,000', hot1000),
    ...highest('hot room 5,000', hot5000),
    ...quiet('hot room 1,000, 25 events/s', hot1000),
  }),
  small: (part) => ({ ...highest('small rooms', part), ...quiet('small rooms, 2,000 events/s', part) }),
  edges: (part) => quiet('two edges, 1,000 events/s × 10', part),
  idle: ([row]) => ({
    'idle: KB per connection': row.kilobytesPerConnection,
    'idle: connects/s': row.connectsPerSecond,
    'idle: CPU ms per connect': row.microsecondsPerConnect.servers / 1_000,
  }),
  resume: (row) => ({
    '5,000 resumes: seconds': row.seconds,
    '5,000 resumes: history reads per position': row.readsPerPosition,
  }),
  ways: waysFigures,
}

/** How many times better this run is than the other figure. */
function timesBetter(value, other, more) {
  if (other === null || other === undefined || value === null) return figure(other)
  const ratio = more ? value / other : other / value
  return `${figure(other)} (${ratio.toFixed(1)} ×)`
}

/** `{ name: { value, bar, reached } }` of everything that was run. */
export function compare(report) {
  const entries = Object.entries(figuresOf).flatMap(([load, figures]) =>
    report[load] === undefined ? [] : Object.entries(figures(report[load])),
  )
  return Object.fromEntries(
    entries.map(([name, value]) => {
      const { bar, more = false } = others[name]
      const reached = bar === undefined ? undefined : value === null ? false : more ? value >= bar : value <= bar
      return [name, { value, bar, reached }]
    }),
  )
}

export function comparisonTable(comparison) {
  const shown = {
    '': ([name]) => name,
    'this run': ([, { value }]) => value,
    bar: ([, { bar }]) => bar,
    reached: ([, { reached }]) => (reached === undefined ? '' : reached ? 'yes' : 'no'),
  }
  columns.forEach((column, i) => {
    shown[column] = ([name, { value }]) => timesBetter(value, others[name].figures?.[i], others[name].more)
  })
  return `This run beside others; (n ×): how many times better this run is.\n${grid(shown, Object.entries(comparison))}`
}
