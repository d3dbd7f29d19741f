// helm/flotilla/rules/*.yaml and helm/flotilla/dashboards/*.json, from monitoring/*.mjs: node scripts/monitoring.mjs [--check]
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { stringify } from 'yaml'
import { alerts } from '../monitoring/alerts.mjs'
import { dashboards } from '../monitoring/dashboards.mjs'
import { burns, slos, windows } from '../monitoring/slos.mjs'

const runbook = (name) => `https://github.com/flotilla/flotilla/blob/main/docs/runbooks/${name}.md`
const ratio = ({ name }, window) => `slo:${name}_failed:ratio_rate${window}`
const titled = (text) => text[0].toUpperCase() + text.slice(1)

const recording = slos.flatMap((slo) =>
  windows.map((window) => {
    const [bad, all] = [slo.bad, slo.all].map((each) => each.replaceAll('$window', window))
    return { record: ratio(slo, window), expr: `(${bad}) / ((${all}) > 0)` }
  }),
)

const burnAlerts = slos.flatMap((slo) =>
  burns.map(({ long, short, factor, severity, for: wait }) => {
    const limit = `${factor} * ${slo.objective}`
    return {
      alert: `Flotilla${titled(slo.name)}BudgetBurn`,
      expr: `${ratio(slo, long)} > ${limit} and ${ratio(slo, short)} > ${limit}`,
      for: wait,
      labels: { severity, slo: slo.name, window: long },
      annotations: {
        summary: `${slo.title}: the budget of a month burns ${factor} times too fast`,
        description: `Over ${long} {{ $value | humanizePercentage }} of them failed: ${slo.says}.`,
        runbook_url: runbook(`Flotilla${titled(slo.name)}BudgetBurn`),
      },
    }
  }),
)

const causeAlerts = alerts.map(({ name, expr, for: wait, severity, summary, description }) => ({
  ...{ alert: name, expr, for: wait, labels: { severity } },
  annotations: { summary, description, runbook_url: runbook(name) },
}))

/** What promtool is to see: each alert by its own examples, each burn at twice what it may be and at half of the objective. */
const expectation = (name, at, fires) => [
  {
    ...{ expr: `max(ALERTS{alertname="${name}",alertstate="firing"})`, eval_time: at },
    exp_samples: fires ? [{ labels: '{}', value: 1 }] : [],
  },
]
const example = (series, promql_expr_test, interval = '1m') => ({
  interval,
  input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
  promql_expr_test,
})
const causeTests = alerts.flatMap(({ name, fires, calm, at = '30m' }) => [
  example(fires, expectation(name, at, true)),
  example(calm, expectation(name, at, false)),
])
const burnTests = slos.flatMap((slo) =>
  burns.flatMap(({ long, short, factor }) => {
    const at = (share) => ({ [ratio(slo, long)]: `${share}x30`, [ratio(slo, short)]: `${share}x30` })
    const name = `Flotilla${titled(slo.name)}BudgetBurn`
    return [
      example(at(Math.min(1, factor * slo.objective * 2)), expectation(name, '5h', true), '15m'),
      example(at(slo.objective / 2), expectation(name, '5h', false), '15m'),
      // In the long window only: it is over.
      example({ ...at(1), [ratio(slo, short)]: '0x30' }, expectation(name, '5h', false), '15m'),
    ]
  }),
)
/** One of ten fails: what the recorded shares have to say of the counters. */
const recordingTests = slos.map((slo) => {
  const share = {
    expr: `round(1000 * ${ratio(slo, '5m')})`,
    eval_time: '30m',
    exp_samples: [{ labels: '{}', value: 100 }],
  }
  return example(slo.tenthFails, [share])
})

const group = (name, rules) => ({ groups: [{ name, rules }] })
const yaml = (value) =>
  `# Made by scripts/monitoring.mjs of monitoring/; do not edit.\n${stringify(value, { lineWidth: 0 })}`
const files = {
  'rules/recording.yaml': yaml(group('flotilla-slos', recording)),
  'rules/alerts.yaml': yaml({
    groups: [
      { name: 'flotilla-budgets', rules: burnAlerts },
      { name: 'flotilla-causes', rules: causeAlerts },
    ],
  }),
  'rules/tests.yaml': yaml({
    ...{ rule_files: ['alerts.yaml'], evaluation_interval: '1m', tests: causeTests },
  }),
  'rules/budget-tests.yaml': yaml({ rule_files: ['alerts.yaml'], evaluation_interval: '15m', tests: burnTests }),
  'rules/recording-tests.yaml': yaml({
    rule_files: ['recording.yaml'],
    evaluation_interval: '1m',
    tests: recordingTests,
  }),
  ...Object.fromEntries(
    dashboards.map((each) => [`dashboards/${each.uid}.json`, `${JSON.stringify(each, null, 2)}\n`]),
  ),
}
const folder = new URL('../helm/flotilla/', import.meta.url)
const stale = Object.entries(files).filter(([path, text]) => {
  const at = new URL(path, folder)
  let known = ''
  try {
    known = readFileSync(at, 'utf8')
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  if (known === text) return false
  if (!process.argv.includes('--check')) {
    mkdirSync(new URL('.', at), { recursive: true })
    writeFileSync(at, text)
  }
  return true
})
if (process.argv.includes('--check') && stale.length > 0) {
  process.stderr.write(`not what monitoring/ says: ${stale.map(([path]) => path).join(', ')}; run: make docs\n`)
  process.exit(1)
}
