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

describe('rules and dashboards', () => {
  test('[MO1] are what monitoring/ says', () => {
    expect(
      execFileSync(process.execPath, [join(root, 'scripts/monitoring.mjs'), '--check'], { encoding: 'utf8' }),
    ).toBe('')
  })

  test('[MO2] ask for metrics that are there', () => {
    const page = readFileSync(join(root, 'docs/metrics.md'), 'utf8')
    const known = new Set(Array.from(page.matchAll(/^\| `(flotilla_\w+)`/gm), ([, name = '']) => name))
    for (const { record } of records) known.add(record)
    for (const name of ['process_open_fds', 'process_max_fds', 'process_resident_memory_bytes']) known.add(name)
    const asked = [...alerts, ...records].map(({ expr }) => expr as string).concat(queries)
    const names = asked.flatMap((text) =>
      Array.from(text.matchAll(/\b(?:flotilla|process|nodejs|slo)[_:][a-zA-Z0-9_:]+/g), ([name]) =>
        name.replace(/_(?:bucket|sum|count)$/, ''),
      ),
    )
    expect(names.length).toBeGreaterThan(100)
    expect([...new Set(names)].filter((name) => !known.has(name))).toEqual([])
  })

  test('[MO3] each alert says how urgent it is, what it means, and where its runbook is', () => {
    for (const { alert, labels, annotations } of alerts) {
      expect(['page', 'ticket']).toContain(labels.severity)
      expect(annotations.summary.length * annotations.description.length).toBeGreaterThan(0)
      expect(annotations.runbook_url).toMatch(new RegExp(`/docs/runbooks/${alert}\\.md$`))
      const book = readFileSync(join(root, `docs/runbooks/${alert}.md`), 'utf8')
      for (const part of [`# ${alert}`, '## Look at', '## Do']) expect(book).toContain(`${part}\n`)
    }
    const names = new Set(alerts.map(({ alert }) => `${alert}.md`))
    expect(readdirSync(join(root, 'docs/runbooks')).filter((file) => !names.has(file))).toEqual([])
    const linked = readdirSync(join(root, 'docs/runbooks')).flatMap((file) =>
      Array.from(
        readFileSync(join(root, 'docs/runbooks', file), 'utf8').matchAll(/\]\(([^)]+)\)/g),
        ([, to = '']) => to,
      ),
    )
    expect(linked.filter((to) => !existsSync(join(root, 'docs/runbooks', to)))).toEqual([])
  })

  test('[MO4] promtool finds the rules valid, each alert firing in its example and quiet in the other', () => {
    const promtool = (...args: string[]) => spawnSync('promtool', args, { cwd: join(chart, 'rules'), encoding: 'utf8' })
    const checked = promtool('check', 'rules', 'alerts.yaml', 'recording.yaml')
    expect(checked.error, 'promtool is not on the PATH: scripts/ensure.sh promtool').toBeUndefined()
    expect(checked.stderr).toBe('')
    const tested = promtool('test', 'rules', ...examplesIn, 'recording-tests.yaml')
    expect(tested.stdout + tested.stderr).not.toMatch(/FAILED/)
    expect([checked.status, tested.status]).toEqual([0, 0])
    const examples = examplesIn.flatMap(
      (file) => parse(readFileSync(join(chart, 'rules', file), 'utf8')).tests as Manifest[],
    )
    const of = (name: string, fires: boolean): number =>
      examples.filter(
        ({ promql_expr_test: [each] }: Manifest) =>
          each.expr.includes(`"${name}"`) && each.exp_samples.length > 0 === fires,
      ).length
    for (const { alert } of alerts) expect([of(alert, true) > 0, of(alert, false) > 0]).toEqual([true, true])
  })

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
        expect(expr).toMatch(/^slo:|namespace=~"\$namespace"/)
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
    const maps = all('ConfigMap')
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

interface Place {
  readonly x: number
  readonly y: number
  readonly w: number
  readonly h: number
}
const overlap = (a: Place, b: Place): boolean =>
  a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h
