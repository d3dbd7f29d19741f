// Two runs of the benchmark beside each other: how far their costs are apart.
import { figure, grid } from './table.mjs'

/** The share by which two runs may differ and still agree. */
const tolerance = 0.15

/** What every run measures in the same way, at a fixed rate or as fast as it goes: name → CPU µs per unit of all servers, and in yardsticks. */
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
  return new Map(found.map(([name, row, { servers }]) => [name, { cost: servers, ...inYardsticks(row, servers) }]))
}

/** The median of what each run of the row cost, in what the yardstick cost meanwhile; null where that is not known of one. */
function inYardsticks({ yardstick, costs: each, yardsticks }, cost) {
  // Of a run by an older version it is not known which of its rows had which.
  const [of, by] = each === undefined ? [[cost], [yardstick]] : [each, yardsticks ?? [null]]
  if (by.includes(null)) return { yardstick: null, relative: null }
  return { yardstick: middle(by), relative: middle(of.map((one, i) => one / by[i])) }
}

/** Of the two in the middle the lower. */
const middle = (values) => values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)]

const apart = (first, second) => Math.abs(first - second) / Math.min(first, second)

/**
 * `{ name, first, second, apart, relative, agree }` of everything that both runs have; `apart` and `relative` are shares of the smaller
 * one: of the costs as they are, and as multiples of what the same piece of work cost meanwhile. A shared machine is faster or slower
 * by a third some minutes later, which not every load feels as the yardstick does: `agree` says in which of both they are within the
 * tolerance (docs/performance.md has figures). `relative` is null where a run has no yardstick for each of its rows.
 */
export function agreement(before, now) {
  const [earlier, later] = [costs(before), costs(now)]
  return [...earlier].flatMap(([name, first]) => {
    const second = later.get(name)
    if (second === undefined) return []
    const share = apart(first.cost, second.cost)
    const measured = first.relative !== null && second.relative !== null
    const relative = measured ? apart(first.relative, second.relative) : null
    return [{ name, first, second, apart: share, relative, agree: verdict(share, relative) }]
  })
}

function verdict(share, relative) {
  const [asTheyAre, inYardsticks] = [share <= tolerance, relative !== null && relative <= tolerance]
  if (asTheyAre) return inYardsticks || relative === null ? 'yes' : 'in µs only'
  return inYardsticks ? 'in yardsticks only' : 'no'
}

const thousandths = ({ relative }) => (relative === null ? null : relative * 1_000)
const percent = (share) => `${(share * 100).toFixed(1)} %`

/** Nothing where they have nothing in common. */
export function agreementTable(before, now) {
  const rows = agreement(before, now)
  if (rows.length === 0) return undefined
  const both = (of) => `${figure(of.first)} · ${figure(of.second)}`
  const columns = {
    'CPU µs per delivery or message': ({ name }) => name,
    'run before': ({ first }) => first.cost,
    'this run': ({ second }) => second.cost,
    apart: (row) => percent(row.apart),
    'yardstick µs': ({ first, second }) => both({ first: first.yardstick, second: second.yardstick }),
    'cost in 1,000th of it': ({ first, second }) => both({ first: thousandths(first), second: thousandths(second) }),
    'apart, in those': ({ relative }) => (relative === null ? '–' : percent(relative)),
    [`within ${tolerance * 100} %`]: ({ agree }) => agree,
  }
  return `This run beside the one of ${before.startedAt}.\n${grid(columns, rows)}`
}
