/**
 * make e2e-kube: builds the image, installs the chart into a cluster of the toolkit, runs `helm test`, and then does to the fleet what
 * happens to fleets, under load from outside, with an account of every event. Prints what clients saw and writes out/kube.json, and docs/kube.md
 * of a whole run in which all of it held. --short: the end of a worker and an upgrade only. For a cluster of yours name its context and an image: loadtests/README.md.
 */
import { execFileSync } from 'node:child_process'
import { chownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { sleep } from './harness/processes.mjs'
import { openCluster } from './kube/cluster.mjs'
import { openFleet } from './kube/fleet.mjs'
import { startTraffic } from './kube/load.mjs'
import { renderPage } from './kube/page.mjs'
import { stepsFor } from './kube/steps.mjs'
import { grid } from './report/table.mjs'

const { values: args } = parseArgs({
  options: {
    clients: { type: 'string', default: '1000' },
    rate: { type: 'string', default: '500' },
    only: { type: 'string' },
    short: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
})
const [clients, rate] = [args.clients, args.rate].map(Number)
const root = fileURLToPath(new URL('..', import.meta.url))
const user = 65_532
const volume = '/var/lib/flotilla-e2e'
/** Slots of a worker that was killed serve again within so long, ms. */
const servedWithinMs = 5_000

const startedAt = Date.now()
const say = (text) =>
  process.stderr.write(`${String(Math.round((Date.now() - startedAt) / 1_000)).padStart(4)} s  ${text}\n`)

const cluster = await openCluster({ nodes: 3, say })
const { kubectl, json } = cluster
const fleet = openFleet(cluster)

/** A volume is made by hand where nobody makes them. */
function makeVolume() {
  rmSync(volume, { recursive: true, force: true })
  mkdirSync(volume, { recursive: true })
  chownSync(volume, user, user)
  cluster.apply(
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name: 'flotilla-e2e', labels: { flotilla: 'e2e' } },
      spec: {
        capacity: { storage: '1Gi' },
        accessModes: ['ReadWriteOnce'],
        persistentVolumeReclaimPolicy: 'Retain',
        storageClassName: '',
        hostPath: { path: volume },
      },
    }),
  )
}

/** A fleet of the chart as it was before its last change, where git knows it, in a namespace of its own. */
async function install() {
  await fleet.removeAll()
  await kubectl('create', 'namespace', fleet.namespace)
  await kubectl('label', 'namespace', fleet.namespace, 'pod-security.kubernetes.io/enforce=restricted')
  if (cluster.own) {
    await kubectl('--namespace', 'kube-system', 'scale', 'deployment', 'coredns', '--replicas', '2')
    await cluster.image('flotilla:e2e', `${root}Dockerfile`, root)
    await cluster.image('flotilla-redis:e2e', `${root}loadtests/kube/redis.Dockerfile`, `${root}loadtests/kube`)
    makeVolume()
  }
  const { before } = fleet
  say(before === undefined ? 'helm install' : `helm install, of the chart before its last change (${before.commit})`)
  await (before === undefined ? fleet.upgrade() : fleet.installBefore())
  await test()
}

async function test() {
  await fleet.settled()
  say('helm test')
  process.stderr.write(await fleet.test())
}

/** What clients saw of one thing that was done. */
async function perform(step, traffic) {
  if (step.needsBalance) await fleet.balanced()
  const before = await traffic.report()
  traffic.longestWaitMs()
  const beganAt = performance.now()
  const found = (await step.run({ ...fleet, traffic, say })) ?? {}
  await fleet.settled()
  await traffic.heals()
  // Who was disconnected says so before it is back, which is before its room heals for it.
  await sleep(2_000)
  const after = await traffic.report()
  const seen = { disconnects: after.disconnected - before.disconnected, told: after.told - before.told }
  const { name: what, kind } = step
  const seconds = Math.round((performance.now() - beganAt) / 1_000)
  const row = { name: what, kind, seconds, ...seen, longestWaitMs: traffic.longestWaitMs(), ...found }
  say(`${what}: ${JSON.stringify(row)}`)
  return row
}

async function performAll(nodes) {
  const logs = fleet.logs()
  const traffic = await startTraffic({ ...(await fleet.access()), clients, rate })
  say(`${clients} clients in ${traffic.rooms} rooms, ${rate} events per second`)
  const all = stepsFor({ nodes: nodes.map(({ metadata }) => metadata.name), own: cluster.own, before: fleet.before })
  const isWanted = ({ name, isShort }) => (args.short ? isShort : args.only === undefined || name.includes(args.only))
  const rows = []
  for (const step of all.filter(isWanted)) rows.push(await perform(step, traffic))
  say('everything is done; what is under way comes')
  const sum = await traffic.finish()
  await logs.stop()
  return { steps: rows, ...sum }
}

/** `[what, seen, at the most]`. Where the only Redis itself moves to another node nothing can be served meanwhile. */
function judged({ steps, ...sum }) {
  return [
    ['lost', sum.lost, 0],
    ['duplicated', sum.duplicated, 0],
    ['disordered', sum.disordered, 0],
    ['clients that heard other events than were acknowledged', sum.mismatched, 0],
    ['told of a loss', sum.told, 0],
    ...steps.filter(({ kind }) => kind === 'planned').map((row) => [`disconnects: ${row.name}`, row.disconnects, 0]),
    ...steps
      .filter(({ withRedis }) => withRedis !== true)
      .map((row) => [`served after, ms: ${row.name}`, row.longestWaitMs, servedWithinMs]),
  ]
}

const columns = {
  '': ([what]) => what,
  seen: ([, value]) => value,
  'at the most': ([, , bar]) => bar,
  held: ([, value, bar]) => (value <= bar ? 'yes' : 'NO'),
}

async function main() {
  await install()
  const { items: nodes } = await json('get', 'nodes')
  const versions = {
    commit: execFileSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' }).trim(),
    kubernetes: nodes[0].status.nodeInfo.kubeletVersion,
    nodes: nodes.length,
    helm: (await cluster.helm('version', '--template', '{{.Version}}')).trim(),
  }
  const seen = await performAll(nodes)
  const report = { startedAt: new Date(startedAt).toISOString(), ...versions, clients, rate, ...seen }
  const held = judged(seen)
  const passed = held.filter(([, value, bar]) => value <= bar).length
  const counts = { passed, failed: held.length - passed }
  mkdirSync('out', { recursive: true })
  writeFileSync('out/kube.json', `${JSON.stringify({ ...report, ...counts }, null, 2)}\n`)
  process.stdout.write(
    `\n${clients} clients, ${seen.events} events, ${seen.deliveries} deliveries, p99 ${seen.delayMs.p99} ms.\n${grid(columns, held)}\n\nAlso in out/kube.json.\n`,
  )
  await fleet.upgrade()
  await test()
  const isWhole = cluster.own && !args.short && args.only === undefined
  if (isWhole && counts.failed === 0) writeFileSync('docs/kube.md', renderPage(report))
  return counts.failed === 0 ? 0 : 1
}

let code
try {
  code = await main()
} finally {
  if (!args.keep) {
    await fleet.removeAll()
    await cluster.close()
  }
}
process.exit(code)
