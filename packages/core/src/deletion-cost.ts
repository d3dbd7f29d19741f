/** An edge's pod, what it costs to delete it as the platform was told (undefined: nothing), and the connections that it has. */
export interface CostedPod {
  readonly name: string
  readonly told: number | undefined
  readonly connections: number
}

/** A cost is told again when it has changed by more than this part of it: each is a write that everybody who watches pods hears of. */
const noticeable = 0.25
/** Below so many connections one edge is as good as another. */
const few = 20

/** Which pods are to be told another cost: fewest connections, least cost, so that of a tier that shrinks the emptiest goes. */
export function costsToTell(pods: readonly CostedPod[]): { readonly name: string; readonly cost: number }[] {
  return pods.flatMap(({ name, told = 0, connections }) => {
    const change = Math.abs(connections - told)
    return change > few && change > noticeable * Math.max(connections, told) ? [{ name, cost: connections }] : []
  })
}
