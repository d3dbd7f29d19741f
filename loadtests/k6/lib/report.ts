interface Metric {
  readonly type: string
  readonly contains: string
  readonly values: Readonly<Record<string, number>>
  readonly thresholds?: Readonly<Record<string, { readonly ok: boolean }>>
}
export interface Summary {
  readonly metrics: Readonly<Record<string, Metric>>
}

const figure = (value: number): string => String(Math.round(value * 100) / 100)

function valuesOf({ type, values }: Metric): string {
  if (type === 'trend')
    return ['med', 'p(95)', 'p(99)', 'max'].map((name) => `${name} ${figure(values[name] ?? 0)}`).join(', ')
  if (type === 'rate') return `${figure(100 * (values['rate'] ?? 0))} %`
  return figure(values['count'] ?? values['value'] ?? 0)
}

/** What a run saw, a line each, and the whole as JSON in `out/k6-<name>.json`. */
export function summarize(name: string, { metrics }: Summary): Record<string, string> {
  const own = Object.entries(metrics).filter(([metric]) =>
    /^(flotilla_|ws_sessions|ws_connecting|http_req_duration$|dropped)/.test(metric),
  )
  const lines = own.map(([metric, each]) => {
    const broken = Object.entries(each.thresholds ?? {}).flatMap(([bar, { ok }]) => (ok ? [] : [bar]))
    const verdict =
      each.thresholds === undefined ? '' : broken.length === 0 ? '  held' : `  NOT HELD: ${broken.join(', ')}`
    return `${metric.padEnd(28)} ${valuesOf(each)}${verdict}`
  })
  return { stdout: `\n${lines.toSorted().join('\n')}\n`, [`out/k6-${name}.json`]: JSON.stringify(metrics, null, 2) }
}
