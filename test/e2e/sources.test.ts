import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('[NS15] events of a JetStream stream are in their rooms once and in order, though ingest and NATS are killed (EV6, OP7)', async () => {
  const out = 'out/sources-short.json'
  const size = ['--events', '4000', '--rooms', '40', '--kills', '1', '--ingests', '1']
  const { stderr } = await promisify(execFile)(process.execPath, ['loadtests/sources.mjs', ...size, '--out', out])
  expect(stderr).not.toContain('Warning')
  expect(JSON.parse(readFileSync(out, 'utf8'))).toMatchObject({
    events: 4_000,
    rooms: 40,
    faults: { missing: 0, doubled: 0, foreign: 0, misordered: 0, heads: 0 },
    kills: { ingest: 1, nats: 1 },
  })
})
