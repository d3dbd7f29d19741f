/**
 * make e2e-kube: builds the image, installs the chart into a cluster of the toolkit, runs `helm test`, and then does to the fleet what
 * happens to fleets, under load from outside, with an account of every event. Prints what clients saw and writes out/kube.json. --short:
 * the first step of each kind only. For a cluster of yours name its context and an image: loadtests/README.md.
 */
import { chownSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { sleep, until } from './harness/processes.mjs'
import { openCluster } from './kube/cluster.mjs'
import { stepsFor } from './kube/steps.mjs'
import { startTraffic } from './kube/load.mjs'
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
const [namespace, release] = ['flotilla-e2e', 'fleet']
const name = `${release}-flotilla`
const user = 65_532
const volume = '/var/lib/flotilla-e2e'
/** Slots of a worker that was killed serve again within so long, ms. */
const servedWithinMs = 5_000

const startedAt = Date.now()
const say = (text) =>
  process.stderr.write(`${String(Math.round((Date.now() - startedAt) / 1_000)).padStart(4)} s  ${text}\n`)

const cluster = await openCluster({ nodes: 3, say })
const { kubectl, json, helm } = cluster
const inSpace = ['--namespace', namespace]

async function removeAll() {
  await helm('uninstall', release, ...inSpace, '--ignore-not-found', '--wait').catch(() => {})
  await kubectl('delete', 'namespace', namespace, '--ignore-not-found', '--wait=true')
  if (!cluster.own) return
  await kubectl('delete', 'persistentvolume', 'flotilla-e2e', '--ignore-not-found')
  rmSync(volume, { recursive: true, force: true })
}

/** A volume is made by hand where nobody makes them. */
function makeVolume() {
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

const sets = new Map(cluster.values.map((each) => [each.split('=', 1)[0], each]))
async function upgrade(...changes) {
  for (const each of changes) sets.set(each.split('=', 1)[0], each)
  const chosen = [...sets.values()].flatMap((each) => ['--set-json', each])
  const files = ['values.yaml', cluster.own ? 'own-values.yaml' : 'other-values.yaml'].flatMap((file) => [
    ...['--values', fileURLToPath(new URL(`kube/${file}`, import.meta.url))],
  ])
  await helm('upgrade', release, `${root}helm/flotilla`, '--install', ...inSpace, ...files, ...chosen)
}

const addressOf = async (service) => {
  const { spec } = await json('get', 'service', `${name}-${service}`, ...inSpace)
  return { host: spec.clusterIP, port: spec.ports[0].port }
}
const secretOf = async (key) => {
  const { data } = await json('get', 'secret', name, ...inSpace)
  return Buffer.from(data[key], 'base64').toString()
}
const pods = async (component) => {
  const { items } = await json('get', 'pods', ...inSpace, '--selector', `app.kubernetes.io/component=${component}`)
  return items
    .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
    .map(({ metadata, spec, status }) => ({ name: metadata.name, node: spec.nodeName, phase: status.phase }))
}
const view = async () => {
  const { host, port } = await addressOf('control')
  return (await fetch(`http://${host}:${port}/v1/fleet`, { signal: AbortSignal.timeout(2_000) })).json()
}

const replicas = { edge: 2, shard: 2, control: 2, ingest: 2 }
/** Every tier has the pods that it is to have, all ready, every slot is owned, and nothing moves. */
async function settled(changed = {}) {
  Object.assign(replicas, changed)
  for (const tier of ['edge', 'control', 'ingest'])
    await kubectl('rollout', 'status', `deployment/${name}-${tier}`, ...inSpace, '--timeout', '300s')
  await kubectl('rollout', 'status', `statefulset/${name}-shard`, ...inSpace, '--timeout', '300s')
  const isWhole = async () => {
    const { plan, members } = await view()
    const live = (role) => members.filter((each) => each.role === role && each.state === 'live').length
    const counts = Object.entries(replicas).every(([role, count]) => live(role) === count)
    return counts && members.every(({ state }) => state === 'live') && plan.orphans.length + plan.inFlight.length === 0
  }
  await until('the fleet is whole', () => isWhole().catch(() => false), 300_000)
}

const boots = async (role) => (await view()).members.filter((each) => each.role === role).map(({ boot }) => boot)
/** One of these processes is no member any more: what was done to it has happened. */
const oneIsGone = (before) =>
  until(
    `one of ${before.join(', ')} is gone`,
    async () => {
      const left = new Set((await view().catch(() => ({ members: [] }))).members.map(({ boot }) => boot))
      return left.size > 0 && before.some((boot) => !left.has(boot))
    },
    120_000,
  )

await removeAll()
await kubectl('create', 'namespace', namespace)
await kubectl('label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted')
if (cluster.own) {
  await kubectl('--namespace', 'kube-system', 'scale', 'deployment', 'coredns', '--replicas', '2')
  await cluster.image('flotilla:e2e', `${root}Dockerfile`, root)
  await cluster.image('flotilla-redis:e2e', `${root}loadtests/kube/redis.Dockerfile`, `${root}loadtests/kube`)
  makeVolume()
}
say('helm install')
await upgrade()
await settled()
say('helm test')
process.stderr.write(await helm('test', release, ...inSpace, '--logs'))

const traffic = await startTraffic({
  edge: await addressOf('edge'),
  ingest: await addressOf('ingest'),
  secret: await secretOf('jwt-secret'),
  key: (await secretOf('ingest-keys')).split(':')[1],
  ...{ clients, rate },
})
say(`${clients} clients in ${traffic.rooms} rooms, ${rate} events per second`)

const { items } = await json('get', 'nodes')
const all = stepsFor({ nodes: items.map(({ metadata }) => metadata.name), own: cluster.own })
const wanted = (step) => args.only === undefined || step.name.includes(args.only)
const steps = args.short
  ? all.filter((step, i) => all.findIndex(({ kind }) => kind === step.kind) === i)
  : all.filter(wanted)
const fleet = { ...cluster, namespace, pods, view, boots, oneIsGone, settled, upgrade }
const rows = []
for (const step of steps) {
  const before = (await traffic.report()).disconnected
  traffic.longestWaitMs()
  const beganAt = performance.now()
  const found = (await step.run(fleet)) ?? {}
  await settled()
  await traffic.heals()
  // Who was disconnected says so before it is back, which is before its room heals for it.
  await sleep(2_000)
  const disconnects = (await traffic.report()).disconnected - before
  const { name: what, kind } = step
  const seconds = Math.round((performance.now() - beganAt) / 1_000)
  rows.push({ name: what, kind, seconds, disconnects, longestWaitMs: traffic.longestWaitMs(), ...found })
  say(`${what}: ${JSON.stringify(rows.at(-1))}`)
}
const sum = await traffic.finish()
const report = { startedAt: new Date(startedAt).toISOString(), clients, rate, nodes: items.length, steps: rows, ...sum }
mkdirSync('out', { recursive: true })
writeFileSync('out/kube.json', `${JSON.stringify(report, null, 2)}\n`)

const held = [
  ['lost', sum.lost, 0],
  ['duplicated', sum.duplicated, 0],
  ['disordered', sum.disordered, 0],
  ['told of a loss', sum.told, 0],
  ...rows.filter(({ kind }) => kind === 'planned').map((row) => [`disconnects: ${row.name}`, row.disconnects, 0]),
  ...rows
    .filter(({ kind }) => kind === 'forced')
    .map((row) => [`served after, ms: ${row.name}`, row.longestWaitMs, servedWithinMs]),
]
const columns = {
  '': ([what]) => what,
  seen: ([, value]) => value,
  'at the most': ([, , bar]) => bar,
  held: ([, value, bar]) => (value <= bar ? 'yes' : 'NO'),
}
process.stdout.write(
  `\n${clients} clients, ${sum.events} events, ${sum.deliveries} deliveries, p99 ${sum.delayMs.p99} ms.\n${grid(columns, held)}\n\nAlso in out/kube.json.\n`,
)
if (!args.keep) await removeAll()
process.exit(held.every(([, value, bar]) => value <= bar) ? 0 : 1)
