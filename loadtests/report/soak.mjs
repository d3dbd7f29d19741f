// The tables of a soak.
import { figure, grid } from './table.mjs'

const percent = (share) => (share === undefined ? '–' : `${share >= 0 ? '+' : ''}${(share * 100).toFixed(1)} %`)
const megabytes = (bytes) => (bytes / 1_048_576).toFixed(1)

export function soakTables({ trends, bounds, checks }) {
  const flat = {
    what: (row) => row.name,
    mean: ({ unit, line }) => (line === null ? '–' : unit === 'MB' ? megabytes(line.mean) : figure(line.mean)),
    unit: (row) => row.unit,
    change: ({ line }) => percent(line?.share),
    allowed: ({ allowed }) => (allowed === null ? '' : `± ${allowed * 100} %`),
    verdict: (row) => row.verdict,
  }
  const bound = {
    'what is bound': (row) => row.name,
    by: (row) => row.variable,
    bound: (row) => String(row.limit),
    most: (row) => String(Math.round(row.most)),
    'at the end': (row) => String(Math.round(row.last)),
    verdict: ({ held }) => (held ? 'held' : 'BROKEN'),
  }
  const check = {
    check: (row) => row.name,
    found: (row) => String(row.found),
    verdict: ({ held }) => (held ? 'held' : 'BROKEN'),
  }
  return [
    `What stays flat: change of the straight line through all samples after the first minutes, as a share of their mean.\n${grid(flat, trends)}`,
    `What is bound:\n${grid(bound, bounds)}`,
    `What was delivered:\n${grid(check, checks)}`,
  ].join('\n\n')
}
