import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'

const script = fileURLToPath(new URL('../size.mjs', import.meta.url))

test('[CC22] the bundle is below 12 KB gzip, without Node built-ins and without the schema library', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [script, '--bundle'], { maxBuffer: 4_194_304 })
  const gzip = gzipSync(stdout, { level: 9 }).length
  expect(stdout).toContain('subscribe')
  expect(gzip).toBeGreaterThan(1_000)
  expect(gzip).toBeLessThan(12 * 1_024)
  expect(stdout).not.toMatch(/node:|require\(|\bimport\b/)
  expect(stdout).not.toContain('zod')
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  const stated = Number(/([\d.]+) KB gzip/.exec(readme)?.[1])
  expect(Math.abs(stated - gzip / 1_024)).toBeLessThan(0.3)
})

test.each(['typing', 'cursors', 'attention'])(
  '[TY5] %s is below 1 KB gzip beside the client, as stated',
  async (entry) => {
    const { stdout } = await promisify(execFile)(process.execPath, [script, '--bundle', entry])
    const gzip = gzipSync(stdout, { level: 9 }).length
    expect(gzip).toBeGreaterThan(300)
    expect(gzip).toBeLessThan(1_024)
    expect(stdout).not.toMatch(/node:|require\(|\bimport\b|WebSocket/)
    const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
    const stated = Number(new RegExp(`client/${entry}\`[^\n]*?([\\d.]+) KB gzip`).exec(readme)?.[1])
    expect(Math.abs(stated - gzip / 1_024)).toBeLessThan(0.06)
  },
)
