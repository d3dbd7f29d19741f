// What is done to the fleet while its clients look. `planned`: nobody may see a disconnect; `forced`: slots serve within 5 s again.
import { sleep } from '../harness/processes.mjs'

const standStillMs = 60_000

/** The first pod of a component for which `wanted` holds. */
async function podOf({ pods }, component, wanted = () => true) {
  const found = (await pods(component)).find(wanted)
  if (found === undefined) throw new Error(`no such pod of ${component}`)
  return found
}

const drains = (node) => ({
  name: `kubectl drain ${node}, and back`,
  kind: 'planned',
  run: async ({ kubectl, settled }) => {
    try {
      await kubectl('drain', node, '--ignore-daemonsets', '--delete-emptydir-data', '--timeout', '300s')
      await settled()
    } finally {
      await kubectl('uncordon', node)
    }
  },
})

const scales = (component, counts) => ({
  name: `${component}s ${counts.join(' → ')}`,
  kind: 'planned',
  run: async ({ upgrade, settled }) => {
    for (const count of counts.slice(1)) {
      await upgrade(`${component}.replicas=${count}`)
      await settled({ [component]: count })
    }
  },
})

const kills = (component) => ({
  name: `kubectl delete --force of ${component === 'shard' ? 'a worker' : 'an edge'}`,
  kind: 'forced',
  run: async (fleet) => {
    const boots = await fleet.boots(component)
    const { name } = await podOf(fleet, component)
    await fleet.kubectl('delete', 'pod', name, '--namespace', fleet.namespace, '--grace-period', '0', '--force')
    await fleet.oneIsGone(boots)
  },
})

export function stepsFor({ nodes, own }) {
  return [
    {
      name: 'helm upgrade that replaces every pod',
      kind: 'planned',
      run: async ({ upgrade, settled }) => {
        await upgrade(`podAnnotations.rolled="${Date.now()}"`)
        await settled()
      },
    },
    ...nodes.map(drains),
    {
      name: 'delete of the control pod that leads',
      kind: 'planned',
      run: async (fleet) => {
        const { leader } = await fleet.view()
        await fleet.kubectl('delete', 'pod', leader.split('#')[0], '--namespace', fleet.namespace)
        await fleet.settled()
      },
    },
    kills('shard'),
    kills('edge'),
    scales('edge', [2, 4, 2]),
    scales('shard', [2, 3, 2]),
    ...(own ? [powerCut, apiAway] : []),
  ]
}

const powerCut = {
  name: 'a power cut of a node with an edge and a worker',
  kind: 'forced',
  run: async (fleet) => {
    const all = await Promise.all(['edge', 'shard', 'redis'].map((component) => fleet.pods(component)))
    const [edges, shards, redis] = all.map((pods) => new Set(pods.map(({ node }) => node)))
    // Services are reached through the first node.
    const node = [...edges].find((each) => shards.has(each) && !redis.has(each) && !each.endsWith('-1'))
    if (node === undefined) throw new Error('no node has what it takes')
    const boots = await fleet.boots('shard')
    await fleet.powerCut(node.split('-').at(-1))
    await fleet.oneIsGone(boots)
    await fleet.powerOn()
    await fleet.settled()
    return { node }
  },
}

const apiAway = {
  name: 'the API server hangs for a minute',
  kind: 'planned',
  run: async (fleet) => {
    fleet.hang()
    try {
      await sleep(standStillMs)
    } finally {
      fleet.answer()
    }
    await fleet.settled()
  },
}
