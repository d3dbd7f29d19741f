// The table of how cost grows.
import { figure, grid } from './table.mjs'

const count = (at) => (typeof at === 'number' ? at.toLocaleString('en-US') : at)
const kinds = ['redis', 'worker', 'in', 'out', 'control', 'servers']

/** One table: a line per point of every curve, µs of CPU per message or delivery. */
export function growthTable(curves) {
  const rows = Object.values(curves).flatMap(({ title, rows: points }) =>
    points.map((point, i) => ({ ...point, title: i === 0 ? title : '' })),
  )
  const columns = {
    curve: (row) => row.title,
    at: (row) => count(row.at),
    per: (row) => row.unit,
    ...Object.fromEntries(kinds.map((kind) => [kind, (row) => row.microseconds[kind]])),
    'p99 ms': (row) => row.p99Ms,
    'other cores': (row) => row.cores.others,
    'yardstick µs': (row) => row.yardstick,
    'calls: read · add · script': ({ calls = {} }) => Object.values(calls).map(figure).join(' · '),
    besides: (row) => row.besides,
  }
  const loads = Object.values(curves).map(({ title, load }) => `- ${title}: ${load}.`)
  return (
    `How cost grows: µs of CPU per message or delivery. in: ingest, or producers without HTTP; out: edges, or readers ` +
    `without sockets; servers: all of them; calls to Redis per message or delivery.\n${grid(columns, rows)}\n\n${loads.join('\n')}`
  )
}

/** How much more a unit costs at the end of a curve than at its beginning, for the progress. */
export const grownBy = (rows) =>
  figure((rows.at(-1)?.microseconds.servers ?? NaN) / (rows[0]?.microseconds.servers ?? NaN))
