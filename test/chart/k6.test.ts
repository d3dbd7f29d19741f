import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { isThere, tool, toolkit } from '../../scripts/toolkit.mjs'
import { render } from './render.ts'
import type { Manifest } from './render.ts'

const folder = join(import.meta.dirname, '../../loadtests/k6')
const hasK6 = isThere('k6') || existsSync(join(toolkit, 'tools/install'))

/** What k6 makes of a script's options. */
function optionsOf(script: string): Manifest {
  const { stdout, stderr, status } = spawnSync(tool('k6'), ['inspect', join(folder, script)], { encoding: 'utf8' })
  expect(stderr).toBe('')
  expect(status).toBe(0)
  return JSON.parse(stdout)
}

describe.skipIf(!hasK6)('scripts of k6', () => {
  test.each([
    ['smoke.ts', 11_250, 30],
    ['fan-out.ts', 300_000, 0],
    ['reconnect-storm.ts', 45_000, 1_000],
    ['soak.ts', 600_000, 3_000],
  ])('%s fails where nothing is delivered, and where nobody comes back (OP6)', (script, events, resumes) => {
    const { thresholds, scenarios } = optionsOf(script)
    expect(thresholds.flotilla_received).toEqual([`count>=${Math.floor(events * 0.95)}`])
    expect(thresholds.flotilla_resumed).toEqual(resumes === 0 ? undefined : [`count>=${resumes}`])
    // A listener that began again at the end would hear next to nothing, and be right.
    expect(scenarios.listen).toMatchObject({ executor: 'per-vu-iterations', iterations: 1 })
  })

  test('the operator’s manifest runs what k6 archive makes, against what the chart is', () => {
    const run: Manifest = parse(readFileSync(join(folder, 'operator.yaml'), 'utf8'))
    expect(run.spec.script.configMap.file).toBe('soak.tar')
    const made = mkdtempSync(join(tmpdir(), 'flotilla-k6-'))
    const archive = join(made, 'soak.tar')
    spawnSync(tool('k6'), ['archive', join(folder, 'soak.ts'), '--archive-out', archive])
    const { status } = spawnSync(tool('k6'), ['inspect', archive], { encoding: 'utf8' })
    rmSync(made, { recursive: true })
    expect(status).toBe(0)
    const { objects } = render('default', ['fullnameOverride="fleet-flotilla"'])
    const names = (kind: string) => objects.filter((each) => each.kind === kind).map(({ metadata }) => metadata.name)
    for (const { name, value, valueFrom } of run.spec.runner.env) {
      const host = value === undefined ? undefined : new URL(value).hostname
      if (host === undefined) expect(names('Secret'), name).toContain(valueFrom.secretKeyRef.name)
      else expect(names('Service'), name).toContain(host)
    }
  })
})
