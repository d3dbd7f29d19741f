// make bench: what the path and a hot room cost on this machine. docs/performance.md says how to read it.
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { startRedis } from '@flotilla/node/testing/redis-server'
import { hotRoom } from './hot-room.mjs'
import { path } from './path.mjs'
import { onCore, pinned } from './processes.mjs'
import { table } from './table.mjs'

const quick = process.argv.includes('--quick')
const settings = quick
  ? { seconds: 5, pathRates: [2_000, 20_000, null], hotRates: [50, 200, 1_000] }
  : { seconds: 15, pathRates: [2_000, 10_000, 20_000, 40_000, null], hotRates: [50, 100, 200, 500, 1_000] }

async function withRedis(run) {
  const redis = await startRedis({ prefix: onCore(0) })
  try {
    return await run(redis)
  } finally {
    await redis.close()
  }
}

/** The commit alone, as the prototype's was measured: in a process of its own, not pinned. */
function commit() {
  const env = { ...process.env, SECONDS: String(settings.seconds) }
  const text = execFileSync(process.execPath, ['loadtests/commit.mjs'], { env, encoding: 'utf8' })
  return JSON.parse(text.trim().split('\n').at(-1) ?? '')
}

const startedAt = new Date()
const load = { before: loadavg()[0] }
const rows = {
  commit: commit(),
  path: await withRedis((redis) => path(redis, settings)),
  hotRoom: await withRedis((redis) => hotRoom(redis, settings)),
}
const machine = {
  cpu: cpus()[0]?.model ?? '',
  cores: cpus().length,
  node: process.version,
  pinned,
  load: { ...load, after: loadavg()[0] },
}
const report = { startedAt: startedAt.toISOString(), quick, machine, ...rows }
mkdirSync('out', { recursive: true })
writeFileSync('out/bench.json', `${JSON.stringify(report, null, 2)}\n`)
process.stdout.write(`${table(report)}\nAlso in out/bench.json.\n`)
process.exit(0)
