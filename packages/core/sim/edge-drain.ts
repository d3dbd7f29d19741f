import { startDrain, stepDrain } from '../src/drain.ts'
import type { DrainLimits } from '../src/drain.ts'
import type { Member } from '../src/plan.ts'
import type { Connection, Process } from './network.ts'
import type { Leaving } from './sessions.ts'
import type { World } from './world.ts'

const stepMs = 50
/** How often the list of members is read, and how long the first is waited for, ms. */
const membersEveryMs = 2_000
const membersWithinMs = 1_000

interface DrainDeps {
  readonly limits: DrainLimits
  /** To the store, for what the fleet shares. */
  readonly fleet: Connection
  boot(): string
  connections(): ReadonlySet<Leaving>
  /** Clients that may be told per second; null: control has granted nothing. */
  granted(): number | null
  /** Whether new connections are taken from now on. */
  admit(admits: boolean): void
  /** No connection is left. */
  emptied(): void
}

/** Empties a simulated edge: the real reducer, in a shell like services/edge's edge.ts and drain.ts. */
export function drainEdge(world: World, process: Process, deps: DrainDeps): void {
  const { clock } = world.network
  let members: readonly Member[] | undefined
  const begin = (read: readonly Member[]): void => {
    const isFirst = members === undefined
    members = read
    const alone = (): boolean =>
      members?.some((each) => each.role === 'edge' && each.state === 'live' && each.boot !== deps.boot()) !== true
    if (isFirst) empty(world, process, { ...deps, alone })
  }
  const readMembers = (): void =>
    deps.fleet(
      () => world.stores.readFleet().members,
      begin,
      () => begin(members ?? []),
    )
  readMembers()
  clock.at(clock.now + membersWithinMs, () => process.run(() => begin(members ?? [])))
  process.every(membersEveryMs, readMembers)
}

interface EmptyDeps extends DrainDeps {
  /** No other edge serves, as far as is known. */
  alone(): boolean
}

function empty(world: World, process: Process, deps: EmptyDeps): void {
  const { clock } = world.network
  const state = startDrain(deps.limits, clock.now)
  // In the order in which they were told.
  const toldAtMs = new Map<Leaving, number>()
  const turn = (): void => {
    const connections = deps.connections()
    const movesMs: number[] = []
    for (const [each, told] of toldAtMs) {
      if (connections.has(each)) continue
      toldAtMs.delete(each)
      movesMs.push(clock.now - told)
    }
    const untold = [...connections].filter((one) => one.isIn && !toldAtMs.has(one))
    const seen = { open: connections.size, untold: untold.length, movesMs }
    const view = { ...seen, alone: deps.alone(), granted: deps.granted() }
    const { admits, tell, closeToldBeforeMs, close } = stepDrain(state, view, clock.now)
    deps.admit(admits)
    for (const each of untold.slice(0, tell)) {
      toldAtMs.set(each, clock.now)
      world.reach(view.granted === null ? 'told without a grant' : 'told under a grant')
      world.record.tells.push({ atMs: clock.now, boot: deps.boot(), granted: view.granted })
      each.tellToMove(stepMs)
    }
    const late = Array.from(toldAtMs).filter(([, told]) => told < closeToldBeforeMs)
    for (const each of [...late.map(([one]) => one), ...[...deps.connections()].slice(0, close)]) {
      toldAtMs.delete(each)
      shut(world, each)
    }
    if (deps.connections().size === 0 && !admits) deps.emptied()
    else clock.at(clock.now + stepMs, () => process.run(turn))
  }
  turn()
}

function shut(world: World, straggler: Leaving): void {
  world.reach('closed by a drain')
  straggler.shut()
}
