import { performance } from 'node:perf_hooks'
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

type Kind = 'counter' | 'gauge' | 'histogram'

interface Declared<L extends string> {
  /** Begins with `flotilla_`; see {@link Metrics} for how it ends. */
  readonly name: string
  /** One sentence: what is counted, when it moves. */
  readonly help: string
  /** All labels there are; their values must be few and known, never an id that a client chooses. */
  readonly labels?: readonly L[]
}

interface DeclaredCounter<L extends string> extends Declared<L> {
  /** Label values that are there, as 0, before anything was counted: `increase()` of a series that is born as 5 is 0. */
  readonly series?: readonly Readonly<Record<L, string>>[]
}

interface DeclaredGauge<L extends string> extends Declared<L> {
  /** Sets the value when the metrics are read. */
  readonly collect?: (gauge: Gauge<L>) => void
}

interface DeclaredHistogram<L extends string> extends Declared<L> {
  /** Upper bounds, ascending. 1 ms to 10 s by default, for `_seconds`; any other unit has to give its own. */
  readonly buckets?: readonly number[]
}

/**
 * The metrics of one process. Counters end in `_total`, gauges never do, histograms end in their unit: `_seconds`,
 * `_bytes` or `_messages`. Declaring a metric again returns it, so that two services in one process can share it.
 */
export interface Metrics {
  counter<const L extends string = never>(declared: DeclaredCounter<L>): Counter<L>
  gauge<const L extends string = never>(declared: DeclaredGauge<L>): Gauge<L>
  histogram<const L extends string = never>(declared: DeclaredHistogram<L>): Histogram<L>
  /** The text that a scrape gets. */
  render(): Promise<{ readonly contentType: string; readonly body: string }>
  /** What was declared, in order; a test holds docs/metrics.md in step with it. */
  declared(): readonly { readonly name: string; readonly type: Kind; readonly help: string }[]
}

const secondsBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const maxLabels = 4
// Named "…_total" though they are gauges: whoever sees the name takes rate() of it.
const misnamed = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

/** A registry with the process metrics (`process_*`, `nodejs_*`, event loop lag among them), labelled `service`. `version`: of the process. */
export function createMetrics({ service, version }: { readonly service: string; readonly version?: string }): Metrics {
  const registry = new Registry()
  registry.setDefaultLabels({ service })
  collectDefaultMetrics({ register: registry })
  for (const name of misnamed) registry.removeSingleMetric(name)
  const declarations = new Map<string, { readonly type: Kind; readonly declared: Declared<string> }>()
  const [counters, gauges, histograms] = [
    new Map<string, Counter>(),
    new Map<string, Gauge>(),
    new Map<string, Histogram>(),
  ]

  function shared<M>(type: Kind, declared: Declared<string>, metricsOfType: Map<string, M>, create: () => M): M {
    const { name } = declared
    check(type, declared)
    const before = declarations.get(name)
    const same = metricsOfType.get(name)
    if (before !== undefined && same !== undefined && sameLabels(before.declared, declared)) return same
    if (before !== undefined) throw new TypeError(`${name} is declared twice, differently`)
    const metric = create()
    metricsOfType.set(name, metric)
    declarations.set(name, { type, declared })
    return metric
  }

  const metrics: Metrics = {
    counter: (declared) => {
      const counter = shared('counter', declared, counters, () => new Counter(base(declared, registry)))
      for (const labels of declared.series ?? []) counter.inc(labels, 0)
      return counter
    },
    gauge: (declared) => shared('gauge', declared, gauges, () => createGauge(declared, registry)),
    histogram: (declared) => shared('histogram', declared, histograms, () => createHistogram(declared, registry)),
    render: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
    declared: () => [...declarations.values()].map(({ type, declared: { name, help } }) => ({ name, type, help })),
  }
  declareUtilization(metrics)
  if (version !== undefined) {
    const help = 'Always 1; its version is a label.'
    metrics.gauge({ name: 'flotilla_build_info', help, labels: ['version'] }).set({ version }, 1)
  }
  return metrics
}

function base<L extends string>(declared: Declared<L>, registry: Registry) {
  return { name: declared.name, help: declared.help, labelNames: declared.labels ?? [], registers: [registry] }
}

function createGauge<L extends string>(declared: DeclaredGauge<L>, registry: Registry): Gauge<L> {
  const { collect } = declared
  const gauge: Gauge<L> = new Gauge<L>({
    ...base(declared, registry),
    ...(collect === undefined ? {} : { collect: () => collect(gauge) }),
  })
  return gauge
}

function createHistogram<L extends string>(declared: DeclaredHistogram<L>, registry: Registry): Histogram<L> {
  const { buckets = secondsBuckets } = declared
  if (declared.buckets === undefined && !declared.name.endsWith('_seconds')) {
    throw new TypeError(`${declared.name} needs buckets of its unit`)
  }
  return new Histogram<L>({ ...base(declared, registry), buckets: [...buckets] })
}

const endings = {
  counter: /_total$/,
  gauge: /(?<!_total|_count|_sum|_bucket)$/,
  histogram: /_(?:seconds|bytes|messages)$/,
}

function check(type: Kind, { name, labels = [] }: Declared<string>): void {
  if (!/^flotilla_[a-z][a-z0-9]*(?:_[a-z0-9]+)*$/.test(name))
    throw new TypeError(`${name} is not of the form flotilla_name`)
  if (!endings[type].test(name)) throw new TypeError(`${name} does not end as a ${type}'s name does`)
  if (labels.length > maxLabels) throw new TypeError(`${name} has more than ${maxLabels} labels`)
  for (const label of labels) {
    if (!/^[a-z][a-z_]*$/.test(label) || label === 'le' || label === 'service') {
      throw new TypeError(`${name} cannot have a label ${label}`)
    }
  }
}

function sameLabels(a: Declared<string>, b: Declared<string>): boolean {
  const [left, right] = [a.labels ?? [], b.labels ?? []]
  return left.length === right.length && left.every((label) => right.includes(label))
}

function declareUtilization(metrics: Metrics): void {
  let before = performance.eventLoopUtilization()
  metrics.gauge({
    name: 'flotilla_event_loop_utilization_ratio',
    help: 'Share of the time since the last scrape in which the event loop was busy, 0 to 1.',
    collect: (gauge) => {
      const now = performance.eventLoopUtilization()
      gauge.set(performance.eventLoopUtilization(now, before).utilization)
      before = now
    },
  })
}
