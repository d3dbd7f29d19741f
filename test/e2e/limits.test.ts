import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('[E2E30] over three edges and three workers, of which one is killed, users have exactly as many connections as they may, and a kick ends all of them', async () => {
  const command = ['loadtests/limits.mjs', '--races', '60', '--kicks', '5']
  // It ends with 1 when one race was not exact, or a kick took too long.
  const { stdout } = await promisify(execFile)(process.execPath, command, { maxBuffer: 16_777_216 })
  expect(stdout).toContain('60 races of 8 devices for 5 places: not exact')
})
