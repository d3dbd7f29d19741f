import { hash32 } from './slot.ts'

/**
 * Which worker should own which slot (docs/spec.md SP). Control runs `planSlots` every round and carries out the moves
 * it returns. Sticky: a slot stays where it is unless its owner is gone or drains, or the fleet is out of balance.
 */

/** Above this many times the mean a worker is overloaded; below the mean divided by it, underloaded. */
export const maxImbalance = 1.15
/** Slots that one round may move for balance, of all slots; at least one. */
export const maxRoundShare = 0.05
/** Slots that planned moves (drain, balance) may have under way, of all slots; at least one. */
export const maxInFlightShare = 0.25
/** Pause between the last move and the next round of balancing, ms: loads measured before it say nothing. */
export const balanceIntervalMs = 5_000
/**
 * What part of its fair share balancing gives a worker of that age, ms. Nothing at first: in a rollout a worker waits
 * for its predecessor to drain into it, and whatever it got before would be moved for nothing.
 */
export const rampSteps: readonly { readonly fromAgeMs: number; readonly share: number }[] = [
  { fromAgeMs: 30_000, share: 0.1 },
  { fromAgeMs: 60_000, share: 0.25 },
  { fromAgeMs: 90_000, share: 0.5 },
  { fromAgeMs: 120_000, share: 1 },
]
/** What an idle slot weighs, of the mean load: nothing would let all idle slots gather on one worker. */
const idleWeightShare = 0.1
/** A replacement owns at most this part of a fair share; a worker that owns more has its own work to do. */
const spareShare = 0.5
/** An improvement smaller than this part is rounding, and two workers could hand it to and fro for ever. */
const leastGain = 1e-9

export interface PlanWorker {
  readonly id: string
  readonly state: 'live' | 'draining'
  /** Of a draining worker: who takes its slots ({@link pairSuccessors}). Without one they are spread. */
  readonly successor?: string | undefined
  readonly joinedAtMs: number
  /** Load that the worker reports as a whole. It decides only between workers whose slots weigh the same. */
  readonly load?: number | undefined
}
export interface SlotPlanInput {
  readonly slots: number
  /** Slot → owner. A slot whose owner is not among `workers` is an orphan. */
  readonly assignments: readonly ({ readonly worker: string; readonly epoch: number } | null)[]
  /** Workers that are not dead. */
  readonly workers: readonly PlanWorker[]
  /** Slots that only their owner can go on with: they do not move while it lives. */
  readonly held?: ReadonlySet<number> | undefined
  /** Load per slot, in any unit; without it all slots weigh the same. */
  readonly loads?: readonly number[] | undefined
  /** Slots assigned earlier that their new owners do not serve yet. */
  readonly inFlight: number
  /** Control's monotonic clock, as `joinedAtMs` and `lastMovedAtMs`. */
  readonly nowMs: number
  readonly lastMovedAtMs?: number | undefined
}
export interface SlotMove {
  readonly slot: number
  /** Null: nobody owned it. */
  readonly from: string | null
  readonly to: string
  readonly reason: 'orphan' | 'drain' | 'balance'
}

interface Seat {
  readonly worker: PlanWorker
  readonly slots: Set<number>
  weight: number
  /** Part of its fair share that balancing may fill: 0 to 1. */
  readonly share: number
}
interface Board {
  readonly weights: readonly number[]
  readonly held: ReadonlySet<number>
  /** By id, so that the order in which members were read changes nothing. */
  readonly seats: ReadonlyMap<string, Seat>
  readonly live: readonly Seat[]
}
type Imbalance = { readonly over: number; readonly mean: number; readonly under: (seat: Seat) => boolean }

/** The moves of this round. The same input gives the same moves, in whatever order the workers are listed. */
export function planSlots(input: SlotPlanInput): readonly SlotMove[] {
  const board = seatSlots(input)
  if (board.live.length === 0) return []
  const moves = placeOrphans(input, board)
  const budget = Math.max(0, atLeastOne(input.slots * maxInFlightShare) - input.inFlight - moves.length)
  if (board.live.length < board.seats.size) return [...moves, ...drain(board, budget)]
  const sinceMoveMs = input.lastMovedAtMs === undefined ? balanceIntervalMs : input.nowMs - input.lastMovedAtMs
  if (moves.length > 0 || sinceMoveMs < balanceIntervalMs) return moves
  return balance(board, Math.min(budget, atLeastOne(input.slots * maxRoundShare)))
}

/**
 * Draining worker → the live worker that takes its place. A pair once made stays while both are there; otherwise the
 * newest live worker that is nobody's successor yet. With `assignments` only workers that own next to nothing are
 * candidates: when a fleet shrinks there is no replacement, and the slots are better spread.
 */
export function pairSuccessors(
  workers: readonly PlanWorker[],
  assignments?: SlotPlanInput['assignments'],
): ReadonlyMap<string, string> {
  const live = workers.filter((worker) => worker.state === 'live')
  const draining = workers.filter((worker) => worker.state === 'draining').toSorted(byAge)
  const liveIds = new Set(live.map((worker) => worker.id))
  const pairs = new Map<string, string>()
  for (const { id, successor } of draining) {
    if (successor !== undefined && liveIds.has(successor)) pairs.set(id, successor)
  }
  const taken = new Set(draining.map((worker) => worker.successor))
  const owned = countOwned(assignments ?? [])
  const mostOwned = ((assignments?.length ?? 0) / live.length) * spareShare
  const candidates = live
    .filter((worker) => !taken.has(worker.id) && (owned.get(worker.id) ?? 0) <= mostOwned)
    .toSorted(byAge)
  for (const { id } of draining) {
    if (pairs.has(id)) continue
    const newest = candidates.pop()
    if (newest !== undefined) pairs.set(id, newest.id)
  }
  return pairs
}

function seatSlots(input: SlotPlanInput): Board {
  const weights = slotWeights(input)
  const seats = new Map<string, Seat>()
  for (const worker of input.workers.toSorted((a, b) => compareTexts(a.id, b.id))) {
    seats.set(worker.id, { worker, slots: new Set(), weight: 0, share: rampShare(input.nowMs - worker.joinedAtMs) })
  }
  for (const [slot, weight] of weights.entries()) {
    const seat = seats.get(input.assignments[slot]?.worker ?? '')
    if (seat !== undefined) put(seat, slot, weight)
  }
  const { held = new Set() } = input
  return { weights, held, seats, live: [...seats.values()].filter((seat) => seat.worker.state === 'live') }
}

function slotWeights(input: SlotPlanInput): readonly number[] {
  const loads = Array.from({ length: input.slots }, (_, slot) => {
    const load = input.loads?.[slot] ?? 0
    return Number.isFinite(load) && load > 0 ? load : 0
  })
  const idle = (sum(loads) / input.slots) * idleWeightShare
  return idle > 0 ? loads.map((load) => load + idle) : loads.map(() => 1)
}

function rampShare(ageMs: number): number {
  return rampSteps.findLast((step) => ageMs >= step.fromAgeMs)?.share ?? 0
}

/** All at once: a slot without an owner serves nobody. The heaviest first, which spreads best. */
function placeOrphans(input: SlotPlanInput, board: Board): SlotMove[] {
  const orphans = board.weights
    .map((weight, slot) => ({ slot, weight, from: input.assignments[slot]?.worker ?? null }))
    .filter(({ from }) => from === null || !board.seats.has(from))
    .toSorted((a, b) => b.weight - a.weight || a.slot - b.slot)
  return orphans.flatMap(({ slot, weight, from }) => {
    const to = leastLoaded(board.live, slot)
    if (to === undefined) return []
    put(to, slot, weight)
    return [{ slot, from, to: to.worker.id, reason: 'orphan' }]
  })
}

function drain(board: Board, budget: number): SlotMove[] {
  const moves: SlotMove[] = []
  for (const seat of board.seats.values()) {
    if (seat.worker.state === 'live') continue
    const successor = lastSuccessor(board, seat)
    for (const slot of seat.slots) {
      if (board.held.has(slot)) continue
      const to = successor ?? leastLoaded(board.live, slot)
      if (to === undefined || moves.length >= budget) return moves
      moves.push(shift(board, { slot, from: seat, to, reason: 'drain' }))
    }
  }
  return moves
}

/** Past successors that drain in their turn, so that no slot moves twice; undefined when the line has no live end. */
function lastSuccessor(board: Board, seat: Seat): Seat | undefined {
  let at: Seat | undefined = seat
  for (let steps = 0; at?.worker.state === 'draining' && steps < board.seats.size; steps++) {
    at = board.seats.get(at.worker.successor ?? '')
  }
  return at?.worker.state === 'live' ? at : undefined
}

function balance(board: Board, budget: number): SlotMove[] {
  const moves: SlotMove[] = []
  // A worker that waits for its predecessor is not there yet: counted, it would make the others look fuller.
  const counted = board.live.filter((seat) => seat.share > 0 || seat.slots.size > 0)
  const mean = sum(counted.map((seat) => seat.weight)) / counted.length
  const imbalance: Imbalance = {
    mean,
    over: mean * maxImbalance,
    under: (seat) => seat.weight < (mean * seat.share) / maxImbalance,
  }
  const moved = new Set<number>()
  while (moves.length < budget) {
    const next = bestMove(board, imbalance, moved)
    if (next === undefined) break
    moved.add(next.slot)
    moves.push(shift(board, next))
  }
  return moves
}

interface Shift {
  readonly slot: number
  readonly from: Seat
  readonly to: Seat
  readonly reason: SlotMove['reason']
}

/** From the fullest to the emptiest of which one is out of balance. Each move makes two more equal, so it ends. */
function bestMove(board: Board, imbalance: Imbalance, moved: ReadonlySet<number>): Shift | undefined {
  const { mean, over, under } = imbalance
  const donors = board.live.filter((seat) => seat.weight > mean).toSorted((a, b) => b.weight - a.weight)
  const takers = board.live.filter((seat) => seat.weight < mean * seat.share).toSorted((a, b) => a.weight - b.weight)
  for (const from of donors) {
    for (const to of takers) {
      if (from.weight <= over && !under(to)) continue
      const slot = bestSlot(board, { from, to, mean }, moved)
      if (slot !== undefined) return { slot, from, to, reason: 'balance' }
    }
  }
  return undefined
}

/** The slot that leaves the two most equal, of those that fit and improve. */
function bestSlot(
  board: Board,
  pair: { readonly from: Seat; readonly to: Seat; readonly mean: number },
  moved: ReadonlySet<number>,
): number | undefined {
  const { from, to, mean } = pair
  const room = to.share < 1 ? mean * to.share - to.weight : Infinity
  const gap = from.weight - to.weight
  let best: { readonly slot: number; readonly miss: number; readonly score: number } | undefined
  for (const slot of from.slots) {
    const weight = board.weights[slot] ?? 0
    if (weight > room || weight >= gap * (1 - leastGain) || moved.has(slot) || board.held.has(slot)) continue
    const miss = Math.abs(gap / 2 - weight)
    if (best !== undefined && miss > best.miss) continue
    const score = rendezvous(slot, to)
    if (best === undefined || miss < best.miss || score > best.score) best = { slot, miss, score }
  }
  return best?.slot
}

function leastLoaded(seats: readonly Seat[], slot: number): Seat | undefined {
  let best: Seat | undefined
  for (const seat of seats) if (best === undefined || ranksBefore(seat, best, slot)) best = seat
  return best
}

function ranksBefore(a: Seat, b: Seat, slot: number): boolean {
  const order = a.weight - b.weight || (a.worker.load ?? 0) - (b.worker.load ?? 0)
  return order === 0 ? rendezvous(slot, a) > rendezvous(slot, b) : order < 0
}

/** Spreads ties evenly, and the same way whoever computes it. */
function rendezvous(slot: number, seat: Seat): number {
  return hash32(`${slot}:${seat.worker.id}`)
}

function shift(board: Board, move: Shift): SlotMove {
  const { slot, from, to, reason } = move
  const weight = board.weights[slot] ?? 0
  from.slots.delete(slot)
  from.weight -= weight
  put(to, slot, weight)
  return { slot, from: from.worker.id, to: to.worker.id, reason }
}

function put(seat: Seat, slot: number, weight: number): void {
  seat.slots.add(slot)
  seat.weight += weight
}

function countOwned(assignments: SlotPlanInput['assignments']): ReadonlyMap<string, number> {
  const owned = new Map<string, number>()
  for (const held of assignments) if (held !== null) owned.set(held.worker, (owned.get(held.worker) ?? 0) + 1)
  return owned
}

/** Oldest first. */
function byAge(a: PlanWorker, b: PlanWorker): number {
  return a.joinedAtMs - b.joinedAtMs || compareTexts(a.id, b.id)
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}

function atLeastOne(count: number): number {
  return Math.max(1, Math.floor(count))
}
