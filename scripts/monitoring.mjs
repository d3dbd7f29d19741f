// helm/flotilla/rules/*.yaml and helm/flotilla/dashboards/*.json, from monitoring/*.mjs: node scripts/monitoring.mjs [--check]
import { stringify } from 'yaml'
import { alerts } from '../monitoring/alerts.mjs'
import { dashboards } from '../monitoring/dashboards.mjs'
import { burns, slos, windows } from '../monitoring/slos.mjs'
import { writeMade } from './made.mjs'

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
/** `a{b="c"}` → `a{namespace="x",b="c"}`, for every series. */
const inNamespace = (namespace, series) =>
  Object.fromEntries(
    Object.entries(series).map(([name, values]) => {
      const [metric, labels = '}'] = name.split('{')
      return [`${metric}{namespace="${namespace}"${labels === '}' ? '' : ','}${labels}`, values]
    }),
  )
/** One of two fleets has what the alert is about, and only that one is named. */
const firesIn = (name, at) => ({
  expr: `max by (namespace) (ALERTS{alertname="${name}",alertstate="firing"})`,
  eval_time: at,
  exp_samples: [{ labels: '{namespace="a"}', value: 1 }],
})
const causeTests = alerts.flatMap(({ name, fires, alsoFires = [], calm, at = '30m' }) => [
  example({ ...inNamespace('a', fires), ...inNamespace('b', calm) }, [firesIn(name, at)]),
  ...alsoFires.map((series) => example(inNamespace('a', series), expectation(name, at, true))),
  example(inNamespace('b', calm), expectation(name, at, false)),
])
const burnTests = slos.flatMap((slo) =>
  burns.flatMap(({ long, short, factor }) => {
    const of = (inLong, inShort) => ({ [ratio(slo, long)]: `${inLong}x30`, [ratio(slo, short)]: `${inShort}x30` })
    const name = `Flotilla${titled(slo.name)}BudgetBurn`
    const [much, little] = [Math.min(1, factor * slo.objective * 2), slo.objective / 2]
    const both = { ...inNamespace('a', of(much, much)), ...inNamespace('b', of(little, little)) }
    return [
      example(both, [firesIn(name, '5h')], '15m'),
      // In the long window only, it is over; and in the long window of one fleet and the short one of another.
      example(inNamespace('a', of(1, 0)), expectation(name, '5h', false), '15m'),
      example({ ...inNamespace('a', of(1, 0)), ...inNamespace('b', of(0, 1)) }, expectation(name, '5h', false), '15m'),
    ]
  }),
)
/** One of ten fails in one fleet and none in another: what the recorded shares have to say of the counters. */
const recordingTests = slos.map((slo) => {
  const share = {
    expr: `round(1000 * ${ratio(slo, '5m')})`,
    eval_time: '30m',
    exp_samples: [
      { labels: '{namespace="a"}', value: 100 },
      { labels: '{namespace="b"}', value: 0 },
    ],
  }
  return example({ ...inNamespace('a', slo.tenthFails), ...inNamespace('b', slo.noneFails) }, [share])
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
writeMade(files, { folder: new URL('../helm/flotilla/', import.meta.url), source: 'monitoring/' })
