// What is done to the fleet while its clients look. `planned`: nobody may see a disconnect; `forced`: slots serve within 5 s again.
import { sleep, until } from '../harness/processes.mjs'

const standStillMs = 60_000
/** The metrics are of the last quarter of a minute, the autoscaler looks every quarter of a minute, and takes one edge away per minute. */
const scaledWithinMs = 300_000

/** The first pod of a component for which `wanted` holds. */
async function podOf({ pods }, component, wanted = () => true) {
  const found = (await pods(component)).find(wanted)
  if (found === undefined) throw new Error(`no such pod of ${component}`)
  return found
}

/** How many slots the worker in this pod owns. */
async function slotsOf({ view }, pod) {
  const { plan } = await view()
  return Object.entries(plan.slots).reduce((sum, [boot, own]) => sum + (boot.split('#')[0] === pod ? own.length : 0), 0)
}

const drains = (node) => ({
  name: `kubectl drain ${node}, and back`,
  kind: 'planned',
  run: async ({ kubectl, pods, settled }) => {
    // Which is not there while it moves to another node, and slots with it.
    const withRedis = (await pods('redis')).some((each) => each.node === node)
    try {
      await kubectl('drain', node, '--ignore-daemonsets', '--delete-emptydir-data', '--timeout', '300s')
      await settled()
    } finally {
      await kubectl('uncordon', node)
    }
    return { withRedis }
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
  isShort: component === 'shard',
  needsBalance: component === 'shard',
  name: `kubectl delete --force of ${component === 'shard' ? 'a worker' : 'an edge'}`,
  kind: 'forced',
  run: async (fleet) => {
    const boots = await fleet.boots(component)
    const { name } = await podOf(fleet, component)
    const slots = component === 'shard' ? await slotsOf(fleet, name) : undefined
    await fleet.kubectl('delete', 'pod', name, '--namespace', fleet.namespace, '--grace-period', '0', '--force')
    await fleet.oneIsGone(boots)
    return { slots }
  },
})

/** `isShort`: done in a short run too; `needsBalance`: only once every worker has slots to lose. `before`: the release is still one of the chart as it was before its last change. */
export function stepsFor({ nodes, own, before }) {
  return [
    // First, while each worker has its share of the slots: afterwards that takes a minute or two.
    kills('shard'),
    {
      name: `helm upgrade ${before === undefined ? '' : 'from the chart before its last change '}that replaces every pod`,
      kind: 'planned',
      isShort: true,
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
    kills('edge'),
    scales('edge', [2, 4, 2]),
    scales('shard', [2, 3, 2]),
    scalesByLoad,
    ...(own ? [powerCut(nodes), apiAway] : []),
  ]
}

/** For a trial of minutes. */
const autoscaling = {
  enabled: true,
  minReplicas: 2,
  maxReplicas: 4,
  scaleDownAfterSeconds: 45,
  scaleDownPeriodSeconds: 60,
}
/** Of the requested CPU, per cent: a whole core for each edge, and the most that the chart takes. */
const neverReached = 1_000
/** Of what two edges use under the load that stays: they have to be enough for it again, and two are above 1.1 times this soon. */
const room = 1.3
/** So many more at a time, until there are more edges: a machine that is busy with other things batches more, and needs less CPU for each. */
const [moreClients, mostTimes, eachWithinMs] = [1_000, 5, 60_000]
/** Asking costs a process of kubectl, which shares its cores with the fleet. */
const askedEveryMs = 2_000

/** What the autoscaler of the edges last saw them use, per cent of what they request, or undefined. */
async function usageOf({ json, namespace }) {
  const { items } = await json('get', 'horizontalpodautoscalers', '--namespace', namespace)
  return items[0]?.status.currentMetrics?.find(({ type }) => type === 'Resource')?.resource.current.averageUtilization
}

const scalesByLoad = {
  name: 'edges scaled by load, with more clients and without',
  kind: 'planned',
  run: async (fleet) => {
    const { json, namespace, traffic, upgrade, settled, say } = fleet
    const deployment = async () => {
      const { items } = await json('get', 'deployments', '--namespace', namespace)
      return items.find(({ metadata }) => metadata.name.endsWith('-edge'))
    }
    const serve = async () => (await deployment()).status.readyReplicas ?? 0
    const autoscale = (cpu) => upgrade(`edge.autoscaling=${JSON.stringify({ ...autoscaling, cpu })}`)
    await autoscale(neverReached)
    await settled()
    const used = await until('the autoscaler sees what edges use', () => usageOf(fleet), scaledWithinMs, askedEveryMs)
    const cpu = Math.ceil(used * room)
    await autoscale(cpu)
    const leaves = []
    let edges = 2
    while (edges === 2) {
      if (leaves.length === mostTimes)
        throw new Error(`${leaves.length * moreClients} more clients, and still two edges`)
      leaves.push(await traffic.more(moreClients))
      const areMore = async () => (await serve()) > 2 && serve()
      edges = await until('more edges', areMore, eachWithinMs, askedEveryMs).catch(() => 2)
      say(`${leaves.length * moreClients} more clients, edges at ${await usageOf(fleet)} of ${cpu} %: ${edges} of them`)
    }
    for (const leave of leaves) await leave()
    const areTwo = async () => (await deployment()).spec.replicas === 2
    await until('two edges again', areTwo, scaledWithinMs, askedEveryMs)
    await settled()
    await upgrade('edge.autoscaling={"enabled":false}')
    await settled()
    return { edges, moreClients: leaves.length * moreClients }
  },
}

/** While `act` runs pods come up on `allowed` only. */
async function onlyOn(allowed, { kubectl, nodes }, act) {
  const others = nodes.filter((node) => !allowed.includes(node))
  try {
    for (const node of others) await kubectl('cordon', node)
    await act()
  } finally {
    for (const node of others) await kubectl('uncordon', node)
  }
}

/** A node that has an edge and a worker with its share of the slots, and neither Redis nor the only name server. Services are reached through the first one. */
async function prepareVictim(fleet, nodes) {
  const withRedis = (await fleet.pods('redis')).map(({ node }) => node)
  const node = nodes.findLast((each) => !withRedis.includes(each) && each !== nodes[0])
  const place = { ...fleet, nodes }
  for (const component of ['edge', 'shard']) {
    const pods = await fleet.pods(component)
    if (pods.some((pod) => pod.node === node)) continue
    await onlyOn([node], place, async () => {
      await fleet.kubectl('delete', 'pod', pods[0].name, '--namespace', fleet.namespace)
      await fleet.settled()
    })
  }
  const [space, label] = ['kube-system', 'k8s-app=kube-dns']
  const servers = (await fleet.json('get', 'pods', '--namespace', space, '--selector', label)).items
  if (servers.length > 0 && servers.every(({ spec }) => spec.nodeName === node))
    await onlyOn(
      nodes.filter((each) => each !== node),
      place,
      async () => {
        await fleet.kubectl('delete', 'pod', servers[0].metadata.name, '--namespace', space)
        await fleet.kubectl(
          'wait',
          'pods',
          '--for=condition=Ready',
          '--selector',
          label,
          '--namespace',
          space,
          '--timeout=120s',
        )
      },
    )
  await giveClients(fleet, node)
  await fleet.balanced()
  return node
}

/** Connections stay where they are: the edge on this node may be one that came last. Then the fullest other one is replaced, and its clients move. */
async function giveClients(fleet, node) {
  const { members } = await fleet.view()
  const connections = new Map(members.map(({ id, figures }) => [id, figures.connections ?? 0]))
  const edges = (await fleet.pods('edge')).toSorted((a, b) => connections.get(b.name) - connections.get(a.name))
  if (edges[0].node === node) return
  await fleet.kubectl('delete', 'pod', edges[0].name, '--namespace', fleet.namespace)
  await fleet.settled()
}

const powerCut = (nodes) => ({
  name: 'a power cut of a node with an edge and a worker',
  kind: 'forced',
  run: async (fleet) => {
    const node = await prepareVictim(fleet, nodes)
    const worker = await podOf(fleet, 'shard', (pod) => pod.node === node)
    const slots = await slotsOf(fleet, worker.name)
    const boots = await fleet.boots('shard')
    fleet.traffic.longestWaitMs()
    await fleet.powerCut(node.split('-').at(-1))
    try {
      await fleet.oneIsGone(boots)
    } finally {
      await fleet.powerOn()
    }
    await fleet.settled()
    return { node, slots }
  },
})

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
