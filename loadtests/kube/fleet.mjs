// The release that is tried: how it is installed and changed, and what is known of it.
import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { until } from '../harness/processes.mjs'
import { keepLogs } from './logs.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const [namespace, release] = ['flotilla-e2e', 'fleet']
const name = `${release}-flotilla`
const inSpace = ['--namespace', namespace]
const [wholeWithinMs, askedEveryMs] = [300_000, 200]
/** Of the mean number of slots: shares go by load, not by number. */
const leastShare = 0.6

/** Where the chart and these values lie as they were before the chart was changed last, or undefined where git does not know. */
function chartBefore() {
  const folder = `${root}out/chart-before/`
  const git = (...args) =>
    execFileSync('git', args, { cwd: root, stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 64 * 1_048_576 })
  try {
    const commit = `${git('log', '-1', '--format=%H', '--', 'helm/flotilla').toString().trim()}^`
    const archive = git('archive', '--format=tar', commit, 'helm/flotilla', 'loadtests/kube')
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    execFileSync('tar', ['--extract', '--directory', folder], { input: archive })
    return { folder, commit: git('rev-parse', '--short', commit).toString().trim() }
  } catch {
    return undefined
  }
}

/** Installs the chart, and keeps what was chosen from then on. */
function createRelease({ helm, own, values }) {
  const sets = new Map(values.map((each) => [each.split('=', 1)[0], each]))
  const before = chartBefore()

  async function install(folder, changes) {
    for (const each of changes) sets.set(each.split('=', 1)[0], each)
    const chosen = [...sets.values()].flatMap((each) => ['--set-json', each])
    const files = ['values.yaml', own ? 'own-values.yaml' : 'other-values.yaml'].flatMap((file) => [
      ...['--values', `${folder}loadtests/kube/${file}`],
    ])
    await helm('upgrade', release, `${folder}helm/flotilla`, '--install', ...inSpace, ...files, ...chosen)
  }
  return {
    before,
    installBefore: (...changes) => install(before.folder, changes),
    upgrade: (...changes) => install(root, changes),
    test: () => helm('test', release, ...inSpace, '--logs'),
  }
}

/** What Kubernetes says of it. */
function createObjects({ json, kubectlCommand }) {
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
  const startedPods = async () => {
    const { items } = await json('get', 'pods', ...inSpace)
    return items
      .filter(({ status }) => status.containerStatuses?.some(({ state }) => state.running !== undefined))
      .map(({ metadata: { name: pod, uid } }) => ({ name: pod, uid }))
  }
  return {
    addressOf,
    pods,
    access: async () => ({
      edge: await addressOf('edge'),
      ingest: await addressOf('ingest'),
      secret: await secretOf('jwt-secret'),
      key: (await secretOf('ingest-keys')).split(':')[1],
    }),
    logs: () => keepLogs({ pods: startedPods, follow: (pod) => kubectlCommand('logs', pod, ...inSpace, '--follow') }),
  }
}

/** What control says of it, and waiting for that. */
function createWaits({ kubectl }, { addressOf }) {
  const replicas = { edge: 2, shard: 2, control: 2, ingest: 2 }
  const view = async () => {
    const { host, port } = await addressOf('control')
    return (await fetch(`http://${host}:${port}/v1/fleet`, { signal: AbortSignal.timeout(2_000) })).json()
  }

  async function isWhole() {
    const { plan, members } = await view()
    const live = (role) => members.filter((each) => each.role === role && each.state === 'live').length
    const counts = Object.entries(replicas).every(([role, count]) => live(role) === count)
    return counts && members.every(({ state }) => state === 'live') && plan.orphans.length + plan.inFlight.length === 0
  }
  /** Every tier has the pods that it is to have, all ready, every slot is owned, and nothing moves. */
  async function settled(changed = {}) {
    Object.assign(replicas, changed)
    for (const tier of ['edge', 'control', 'ingest'])
      await kubectl('rollout', 'status', `deployment/${name}-${tier}`, ...inSpace, '--timeout', '300s')
    await kubectl('rollout', 'status', `statefulset/${name}-shard`, ...inSpace, '--timeout', '300s')
    await until('the fleet is whole', () => isWhole().catch(() => false), wholeWithinMs, askedEveryMs)
  }
  /** And every worker has slots to lose: control gives a new one its share bit by bit, for a minute (SP9). */
  async function balanced() {
    await settled()
    const hasShares = async () => {
      const { plan, members } = await view()
      const owned = members.filter(({ role }) => role === 'shard').map(({ boot }) => plan.slots[boot]?.length ?? 0)
      return Math.min(...owned) >= (leastShare * owned.reduce((sum, count) => sum + count, 0)) / owned.length
    }
    await until(
      'every worker has its share of the slots',
      () => hasShares().catch(() => false),
      wholeWithinMs,
      askedEveryMs,
    )
  }

  const boots = async (role) => (await view()).members.filter((each) => each.role === role).map(({ boot }) => boot)
  /** One of these processes is no member any more: what was done to it has happened. */
  const oneIsGone = (known) =>
    until(
      `one of ${known.join(', ')} is gone`,
      async () => {
        const left = new Set((await view().catch(() => ({ members: [] }))).members.map(({ boot }) => boot))
        return left.size > 0 && known.some((boot) => !left.has(boot))
      },
      120_000,
    )

  return { view, settled, balanced, boots, oneIsGone }
}

export function openFleet(cluster) {
  const objects = createObjects(cluster)
  return {
    ...cluster,
    namespace,
    ...createRelease(cluster),
    ...objects,
    ...createWaits(cluster, objects),
    removeAll: async () => {
      await cluster.helm('uninstall', release, ...inSpace, '--ignore-not-found', '--wait').catch(() => {})
      await cluster.kubectl('delete', 'namespace', namespace, '--ignore-not-found', '--timeout=180s')
      if (cluster.own) await cluster.kubectl('delete', 'persistentvolume', 'flotilla-e2e', '--ignore-not-found')
    },
  }
}
