// docs/kube.md: what a whole run found.
import { grid } from '../report/table.mjs'

const yesOrNo = (is) => (is ? 'yes' : '')
const columns = {
  'what was done': ({ name }) => name,
  planned: ({ kind }) => yesOrNo(kind === 'planned'),
  s: ({ seconds }) => String(seconds),
  'clients disconnected': ({ disconnects }) => String(disconnects),
  'longest wait, ms': ({ longestWaitMs }) => longestWaitMs.toLocaleString('en-US'),
  also: ({ withRedis, edges, moreClients, slots, node }) =>
    [
      ...(withRedis ? ['Redis was on it'] : []),
      ...(edges === undefined ? [] : [`${edges} edges with ${moreClients} clients more`]),
      ...(slots === undefined ? [] : [`${slots} slots were the worker’s`]),
      ...(node === undefined ? [] : [node]),
    ].join(', '),
}

/** `report`: as in out/kube.json. */
export function renderPage(report) {
  const { kubernetes, nodes, helm, clients, rate, events, deliveries, lost, duplicated, disordered, mismatched, told } =
    report
  const count = (value) => value.toLocaleString('en-US')
  return `# On Kubernetes

What \`make e2e-kube\` found on ${report.startedAt.slice(0, 10)}, at commit ${report.commit}: Kubernetes ${kubernetes} of ${nodes} nodes, all of them on one machine
of two cores, and Helm ${helm}. The chart was installed as it was before its last change, \`helm test\` passed, and ${count(clients)} clients outside of the
cluster heard ${count(rate)} events per second that were posted from outside, over the Services, while what the table says was done. \`helm test\` passed at the end again.
This page is written by that command; \`out/kube.json\` has the same for machines.

**${count(events)} events acknowledged, ${count(deliveries)} deliveries: ${lost} lost, ${duplicated} duplicated, ${disordered} out of order, ${mismatched} clients that heard
other events than were acknowledged, ${told} told of a loss.** Publish to delivery took ${count(report.delayMs.p50)} ms at p50 and ${count(report.delayMs.p99)} ms at p99, everything that was done included.

${grid(columns, report.steps)}

- Every event has a number of its own, and is posted again until it is acknowledged, under one id. Of every client the events that it was given, in their order, are
  those that were acknowledged at these positions, without a hole.
- *Longest wait*: from when an event was to be posted to its acknowledgement; so long were the slots of some room not served. It may be 5,000 ms. It
  is longer where Redis itself moves to another node: there is one, without a replica, on a volume, which is not what one runs in production. All nodes share two cores with
  the clients, and whatever starts takes its second of one of them.
- Nobody may be disconnected by what is planned. A power cut and \`delete --force\` of an edge end its connections; their clients are back with what they missed.
`
}
