import { execFile, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const script = join(import.meta.dirname, '../../scripts/toolkit.mjs')
let folder = ''
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'flotilla-toolkit-'))))
afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('programs of the toolkit', () => {
  test('are whole for each of several processes that unpack them at once', async () => {
    const install = join(folder, 'install')
    // Slow, and under names of its own: as one that unpacks archives.
    const lines = ['#!/bin/sh', 'echo first >"$1/prog"', 'sleep 0.5', 'echo last >>"$1/prog"']
    writeFileSync(install, `${lines.join('\n')}\n`)
    chmodSync(install, 0o755)
    const target = join(folder, 'tools')
    const code = `
      import { readFileSync } from 'node:fs'
      import { setTimeout } from 'node:timers/promises'
      import { unpacked } from ${JSON.stringify(script)}
      await setTimeout(Number(process.argv[1]))
      const path = unpacked('prog', ${JSON.stringify({ install, folder: target })})
      process.stdout.write(readFileSync(path, 'utf8'))`
    const run = promisify(execFile)
    const delays = ['0', '150', '300', '600']
    const seen = await Promise.all(
      delays.map((delay) => run(process.execPath, ['--input-type=module', '--eval', code, delay])),
    )
    expect(seen.map(({ stdout }) => stdout)).toEqual(delays.map(() => 'first\nlast\n'))
    expect(readdirSync(target)).toEqual(['prog'])
  })

  test('that are nowhere are named, with what to install', () => {
    const empty = join(folder, 'empty')
    mkdirSync(empty)
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '--eval', `(await import(${JSON.stringify(script)})).tool('helm')`],
      { env: { PATH: empty, FLOTILLA_TOOLKIT: empty }, encoding: 'utf8' },
    )
    expect(status).not.toBe(0)
    expect(stderr).toMatch(/helm is not on the PATH: install Helm 4 \(https:.*FLOTILLA_TOOLKIT/)
  })
})
