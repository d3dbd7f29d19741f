import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { chart, render } from './render.ts'
import type { Manifest } from './render.ts'

const root = join(import.meta.dirname, '../..')
const rulesOf = (file: string): Manifest[] =>
  parse(readFileSync(join(chart, 'rules', file), 'utf8')).groups.flatMap(({ rules }: Manifest) => rules)
const [alerts, records] = [rulesOf('alerts.yaml'), rulesOf('recording.yaml')]
const examplesIn = ['tests.yaml', 'budget-tests.yaml']
const dashboards = readdirSync(join(chart, 'dashboards')).map((file) => ({
  file,
  board: JSON.parse(readFileSync(join(chart, 'dashboards', file), 'utf8')) as Manifest,
}))
const panels = dashboards.flatMap(({ file, board }) => board.panels.map((panel: Manifest) => ({ file, board, panel })))
const queries: string[] = panels.flatMap(({ panel }) => panel.targets.map(({ expr }: Manifest) => expr))
const asked: string[] = [...alerts, ...records].map(({ expr }) => expr as string).concat(queries)
const examples = [...examplesIn, 'recording-tests.yaml'].flatMap(
  (file) => parse(readFileSync(join(chart, 'rules', file), 'utf8')).tests as Manifest[],
)
const page = readFileSync(join(root, 'docs/metrics.md'), 'utf8')
const runbooks = readdirSync(join(root, 'docs/runbooks'))
const runbook = (file: string): string => readFileSync(join(root, 'docs/runbooks', file), 'utf8')

/** What a scrape adds, what histograms have, and what all of a process' metrics carry. */
const usualLabels = ['namespace', 'pod', 'le', 'service']
/** Metric → its labels, from the tables of docs/metrics.md; those with examples of their values have them in brackets. */
const labelsOf = new Map(
  Array.from(page.matchAll(/^\| `(flotilla_\w+)` \| \w+ \| ([^|]*)\|/gm), ([, name = '', labels = '']) => {
    const own = labels.replaceAll(/\([^)]*\)/g, '').match(/[a-z_]+/g) ?? []
    return [name, [...own, ...usualLabels]] as const
  }),
)
for (const { record } of records) labelsOf.set(record, ['namespace'])
for (const name of ['process_open_fds', 'process_max_fds', 'process_resident_memory_bytes'])
  labelsOf.set(name, usualLabels)
const metricName =
  /\b((?:flotilla|process|nodejs|slo)[_:][a-zA-Z0-9_:]+?)(?:_bucket|_sum|_count)?(?![a-zA-Z0-9_:])(?:\{([^}]*)\})?/g

/** Labels that a query names and that nothing of what it asks for has. */
function strayLabels(query: string): string[] {
  const found = Array.from(query.matchAll(metricName), ([, name = '', chosen = '']) => ({ name, chosen }))
  const chosen = found.flatMap(({ name, chosen: text }) =>
    Array.from(text.matchAll(/(\w+)\s*[=!]/g), ([, label = '']) => ({ label, known: labelsOf.get(name) ?? [] })),
  )
  const all = found.flatMap(({ name }) => labelsOf.get(name) ?? [])
  const grouped = Array.from(query.matchAll(/\b(?:by|on|without|ignoring) \(([^)]*)\)/g), ([, text = '']) => text)
  const by = grouped.flatMap((text) => text.split(',').map((label) => ({ label: label.trim(), known: all })))
  return [...chosen, ...by]
    .filter(({ label, known }) => !known.includes(label))
    .map(({ label }) => `${label}: ${query}`)
}

describe('rules and dashboards', () => {
  test('[MO1] are what monitoring/ says', () => {
    expect(
      execFileSync(process.execPath, [join(root, 'scripts/monitoring.mjs'), '--check'], { encoding: 'utf8' }),
    ).toBe('')
  })

  test('[MO2] ask for metrics and labels that are there', () => {
    const names = asked.flatMap((text) => Array.from(text.matchAll(metricName), ([, name = '']) => name))
    expect(names.length).toBeGreaterThan(100)
    expect([...new Set(names)].filter((name) => !labelsOf.has(name))).toEqual([])
    expect(labelsOf.get('flotilla_control_members')).toEqual(['role', 'state', ...usualLabels])
    expect(strayLabels('sum by (room) (flotilla_edge_closes_total{why="x"})')).toHaveLength(2)
    expect(asked.flatMap(strayLabels)).toEqual([])
  })

  test('[MO3] each alert says how urgent it is, what it means, and where its runbook is', () => {
    for (const { alert, labels, annotations } of alerts) {
      expect(['page', 'ticket']).toContain(labels.severity)
      expect(annotations.summary.length * annotations.description.length).toBeGreaterThan(0)
      expect(annotations.runbook_url).toMatch(new RegExp(`/docs/runbooks/${alert}\\.md$`))
      const book = runbook(`${alert}.md`)
      for (const part of [`# ${alert}`, '## Look at', '## Do']) expect(book).toContain(`${part}\n`)
    }
    const names = new Set(alerts.map(({ alert }) => `${alert}.md`))
    expect(runbooks.filter((file) => !names.has(file))).toEqual([])
    const linked = runbooks.flatMap((file) =>
      Array.from(runbook(file).matchAll(/\]\(([^)]+)\)/g), ([, to = '']) => to.split('#', 2)),
    )
    expect(linked.filter(([path = '']) => !existsSync(join(root, 'docs/runbooks', path)))).toEqual([])
    const listed = readFileSync(join(root, 'docs/operations.md'), 'utf8')
    for (const file of names) expect(listed).toContain(`](runbooks/${file})`)
    // Of a long page the section is named, and is there.
    const lost = linked.filter(([path = '', section]) => {
      if (section === undefined) return path.endsWith('operations.md')
      const headings = readFileSync(join(root, 'docs/runbooks', path), 'utf8').matchAll(/^#+ (.*)$/gm)
      const slugs = Array.from(headings, ([, text = '']) => text.toLowerCase().replaceAll(/[^\w -]/g, ''))
      return !slugs.some((text) => text.replaceAll(' ', '-') === section)
    })
    expect(lost).toEqual([])
  })

  test(
    '[MO4] promtool finds the rules valid, each alert firing in its example and quiet in the other (OP5)',
    { timeout: 120_000 },
    () => {
      const promtool = (...args: string[]) =>
        spawnSync('promtool', args, { cwd: join(chart, 'rules'), encoding: 'utf8' })
      const checked = promtool('check', 'rules', 'alerts.yaml', 'recording.yaml')
      expect(checked.error, 'promtool is not on the PATH: scripts/ensure.sh promtool').toBeUndefined()
      expect(checked.stderr).toBe('')
      const tested = promtool('test', 'rules', ...examplesIn, 'recording-tests.yaml')
      expect(tested.stdout + tested.stderr).not.toMatch(/FAILED/)
      expect([checked.status, tested.status]).toEqual([0, 0])
      const of = (name: string, fires: boolean): number =>
        examples.filter(
          ({ promql_expr_test: [each] }: Manifest) =>
            each.expr.includes(`"${name}"`) && each.exp_samples.length > 0 === fires,
        ).length
      for (const { alert } of alerts) expect([of(alert, true) > 0, of(alert, false) > 0]).toEqual([true, true])
    },
  )

  test('[MO5] dashboards choose their data source, say what each panel shows and in which unit, and take rates over what Grafana asks for', () => {
    expect(new Set(dashboards.map(({ board }) => board.uid)).size).toBe(dashboards.length)
    for (const { file, board } of dashboards) {
      expect(file).toBe(`${board.uid}.json`)
      expect(board.editable).toBe(false)
      expect(board.templating.list.map(({ name }: Manifest) => name)).toEqual(['datasource', 'namespace', 'pod'])
      const ids = board.panels.map(({ id }: Manifest) => id)
      expect(new Set(ids).size).toBe(ids.length)
    }
    for (const { panel } of panels) {
      expect(panel.title.length * panel.description.length).toBeGreaterThan(0)
      expect(panel.fieldConfig.defaults.unit).toMatch(/^\w+$/)
      expect(panel.targets.length).toBeGreaterThan(0)
      for (const { datasource, expr } of panel.targets) {
        expect(datasource.uid).toBe('${datasource}')
        expect(expr).not.toMatch(/rate\([^)]*\[(?!\$__rate_interval)/)
        const unchosen = Array.from(expr.matchAll(metricName) as Iterable<RegExpMatchArray>).filter(
          ([, , labels = '']) => !labels.includes('namespace=~"$namespace"'),
        )
        expect(unchosen.map(([text]) => text)).toEqual([])
      }
      const { x, y, w, h } = panel.gridPos
      expect([x + w <= 24, y >= 0, h > 0]).toEqual([true, true, true])
    }
    for (const { board } of dashboards)
      for (const [i, a] of board.panels.entries())
        for (const b of board.panels.slice(i + 1)) expect(overlap(a.gridPos, b.gridPos)).toBe(false)
  })

  test('[MO6] the chart brings them as a PrometheusRule and as ConfigMaps', () => {
    const { one, all } = render('ha')
    const { groups } = one('PrometheusRule').spec
    expect(groups.flatMap(({ rules }: Manifest) => rules)).toHaveLength(alerts.length + records.length)
    const maps = all('ConfigMap').filter(({ metadata }) => !metadata.name.endsWith('-policy'))
    expect(maps).toHaveLength(dashboards.length)
    for (const { metadata, data } of maps) {
      expect(metadata.labels).toMatchObject({ grafana_dashboard: '1' })
      expect(metadata.annotations).toEqual({ grafana_folder: 'Flotilla' })
      const [[file, text]] = Object.entries(data as Record<string, string>) as [[string, string]]
      expect(JSON.parse(text)).toEqual(dashboards.find((each) => each.file === file)?.board)
    }
    expect(render('default').all('PrometheusRule')).toEqual([])
  })
})

describe('a Prometheus', () => {
  test('[MO7] that finds processes by a Service keeps their own label `service`', () => {
    const [endpoint] = render('keda').one('ServiceMonitor').spec.endpoints
    expect(endpoint.relabelings).toContainEqual({ action: 'labeldrop', regex: 'service' })
  })

  test('[MO8] that watches several fleets sums each by itself, and names the one that is concerned', () => {
    for (const { expr } of [...alerts, ...records]) {
      const sums = Array.from(expr.matchAll(/\b(?:sum|max|min|avg|count|group)\b(?! by \(namespace)[^(]*\(/g), String)
      expect(sums, expr).toEqual([])
    }
    for (const { alert } of alerts) {
      const tried = examples.filter(({ promql_expr_test: [each] }: Manifest) =>
        each.expr.startsWith(`max by (namespace) (ALERTS{alertname="${alert}"`),
      )
      expect(tried.length, alert).toBeGreaterThan(0)
      for (const { input_series, promql_expr_test } of tried) {
        const all: string = input_series.map(({ series }: Manifest) => series).join(' ')
        expect([all.includes('namespace="a"'), all.includes('namespace="b"')]).toEqual([true, true])
        expect(promql_expr_test[0].exp_samples).toEqual([{ labels: '{namespace="a"}', value: 1 }])
      }
    }
  })

  test('[MO9] that sees a counter for the first time takes what it has counted for new; nothing seen at all is an alert', () => {
    const inputs = (name: string): Manifest[] =>
      examples
        .filter(({ promql_expr_test: [each] }: Manifest) => each.expr.includes(name) && each.exp_samples.length > 0)
        .map(({ input_series }) => input_series)
    const isBorn = (series: Manifest[]): boolean => series.some(({ values }) => /^_x\d+ [1-9]/.test(values))
    const counted = alerts.filter(({ expr }) => /\(increase\(/.test(expr) && expr.includes('unless'))
    expect(counted.map(({ alert }) => alert)).toEqual([
      ...['FlotillaContinuityLost', 'FlotillaCommitsRefused', 'FlotillaDeadLetters', 'FlotillaLogUnreadable'],
    ])
    for (const { alert } of counted) expect(inputs(alert).some(isBorn), alert).toBe(true)
    for (const alert of ['FlotillaNoLeader', 'FlotillaTierAway'])
      expect(inputs(alert).some((series) => series.length === 0)).toBe(true)
  })
})

interface Place {
  readonly x: number
  readonly y: number
  readonly w: number
  readonly h: number
}
const overlap = (a: Place, b: Place): boolean =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
