import type { Manifest } from './render.ts'

/** One end of a connection. `labels` undefined: not a pod of the cluster. */
export interface Peer {
  readonly namespace?: string
  readonly labels?: Readonly<Record<string, string>>
}

function selects(selector: Manifest, labels: Readonly<Record<string, string>>): boolean {
  const { matchLabels = {}, matchExpressions = [] } = selector
  const byLabel = Object.entries(matchLabels).every(([name, value]) => labels[name] === value)
  return (
    byLabel &&
    matchExpressions.every(({ key, operator, values }: Manifest) => {
      if (operator === 'In') return values.includes(labels[key])
      if (operator === 'Exists') return labels[key] !== undefined
      throw new Error(`${operator} is not known here`)
    })
  )
}

/** Of namespaces only the label that Kubernetes gives them: others are not rendered. */
function isPeer(rule: Manifest, peer: Peer, own: string): boolean {
  if (rule.ipBlock !== undefined) return peer.labels === undefined
  if (peer.labels === undefined) return false
  if (rule.namespaceSelector === undefined && peer.namespace !== own) return false
  const labels: Record<string, string> = { 'kubernetes.io/metadata.name': peer.namespace ?? '' }
  if (rule.namespaceSelector !== undefined && !selects(rule.namespaceSelector, labels)) return false
  return rule.podSelector === undefined || selects(rule.podSelector, peer.labels)
}

function allowsBy(
  policies: readonly Manifest[],
  direction: 'Ingress' | 'Egress',
  ends: { at: Peer; other: Peer },
  port: number,
) {
  const { at, other } = ends
  if (at.labels === undefined) return true
  const labels = at.labels
  const mine = policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === at.namespace && spec.policyTypes.includes(direction) && selects(spec.podSelector, labels),
  )
  if (mine.length === 0) return true
  const side = direction === 'Ingress' ? 'from' : 'to'
  return mine.some(({ metadata, spec }) =>
    (spec[direction.toLowerCase()] ?? []).some(
      (rule: Manifest) =>
        (rule.ports === undefined || rule.ports.some((each: Manifest) => each.port === port)) &&
        (rule[side] === undefined || rule[side].some((each: Manifest) => isPeer(each, other, metadata.namespace))),
    ),
  )
}

/** Whether these NetworkPolicies let `from` open a connection to a port of `to`. */
export function allows(policies: readonly Manifest[], from: Peer, to: Peer, port: number): boolean {
  return (
    allowsBy(policies, 'Egress', { at: from, other: to }, port) &&
    allowsBy(policies, 'Ingress', { at: to, other: from }, port)
  )
}
