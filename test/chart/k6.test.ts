import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { isThere, tool, toolkit } from '../../scripts/toolkit.mjs'
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
  ])('%s fails where nothing is delivered, and where nobody comes back', (script, events, resumes) => {
    const { thresholds, scenarios } = optionsOf(script)
    expect(thresholds.flotilla_received).toEqual([`count>=${Math.floor(events * 0.95)}`])
    expect(thresholds.flotilla_resumed).toEqual(resumes === 0 ? undefined : [`count>=${resumes}`])
    // A listener that began again at the end would hear next to nothing, and be right.
    expect(scenarios.listen).toMatchObject({ executor: 'per-vu-iterations', iterations: 1 })
  })
})
