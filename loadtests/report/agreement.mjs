// Two runs of the benchmark beside each other: how far their costs are apart.
import { figure, grid } from './table.mjs'

/** The share by which two runs may differ and still agree. */
const tolerance = 0.15

/** What every run measures in the same way, at a fixed rate or as fast as it goes: name → CPU µs per unit of all servers, and of the yardstick. */
function costs({ path = [], hot, small, edges, ways = [] }) {
  const delivery = (name, part) => (part?.quiet ? [[name, part.quiet, part.quiet.microsecondsPerDelivery]] : [])
  const message = (name, row) => [[name, row, row.microsecondsPerMessage]]
  const found = [
    ...delivery('hot room 1,000', hot?.hot1000),
    ...delivery('hot room 5,000', hot?.hot5000),
    ...delivery('small rooms', small),
    ...delivery('two edges', edges),
    ...path.flatMap((row) => (row.offered === null ? message(`path, ${row.place}`, row) : [])),
    ...ways.flatMap((row) => message(`${row.way}, ${row.offered ?? 'most'}`, row)),
  ]
  return new Map(found.map(([name, { yardstick }, { servers }]) => [name, { cost: servers, yardstick }]))
}

const apart = (first, second) => Math.abs(first - second) / Math.min(first, second)

/**
 * `{ name, first, second, apart, byYardstick, agree }` of everything that both runs have, as shares of the smaller one. The costs
 * themselves have to agree. `byYardstick` says how much of it was the machine: how far they are apart as multiples of what the same
 * piece of work cost meanwhile; null where a row has no yardstick.
 */
export function agreement(before, now) {
  const [earlier, later] = [costs(before), costs(now)]
  return [...earlier].flatMap(([name, first]) => {
    const second = later.get(name)
    if (second === undefined) return []
    const share = apart(first.cost, second.cost)
    const measured = first.yardstick !== null && second.yardstick !== null
    const byYardstick = measured ? apart(first.cost / first.yardstick, second.cost / second.yardstick) : null
    return [{ name, first, second, apart: share, byYardstick, agree: share <= tolerance }]
  })
}

const percent = (share) => `${(share * 100).toFixed(1)} %`

/** Nothing where they have nothing in common. */
export function agreementTable(before, now) {
  const rows = agreement(before, now)
  if (rows.length === 0) return undefined
  const columns = {
    'CPU µs per delivery or message': ({ name }) => name,
    'run before': ({ first }) => first.cost,
    'this run': ({ second }) => second.cost,
    apart: (row) => percent(row.apart),
    [`within ${tolerance * 100} %`]: ({ agree }) => (agree ? 'yes' : 'no'),
    'yardstick µs': ({ first, second }) => `${figure(first.yardstick)} · ${figure(second.yardstick)}`,
    'apart, in yardsticks': ({ byYardstick }) => (byYardstick === null ? '–' : percent(byYardstick)),
  }
  return `This run beside the one of ${before.startedAt}.\n${grid(columns, rows)}`
}
