/** How an edge is emptied. */
export interface DrainLimits {
  /** From its begin until whoever is left is closed, ms. */
  readonly timeoutMs: number
  /** New connections are still taken for so long, ms: balancers need time to hear of it. */
  readonly settleMs: number
  /** Who was told to move and is still here after so long is closed, ms; later where those who moved took long. */
  readonly graceMs: number
  /** Clients that are told per second where control is away and grants nothing. */
  readonly perSecond: number
}

/** Changed in place by `stepDrain` only. */
export interface DrainState {
  readonly startedAtMs: number
  readonly limits: DrainLimits
  /** Clients that may be told now; what is left of a whole one stays. */
  allowed: number
  atMs: number
  /** What a client lately took to move, ms: a mean in which each new one counts for a sixteenth. */
  moveMs: number
  /** When somebody was told last. */
  toldAtMs: number
}

/** What the edge sees. */
export interface DrainView {
  /** Open connections, and those of them that can be told and were not yet. */
  readonly open: number
  readonly untold: number
  /** No other edge serves, as far as is known: there is nowhere to move to. */
  readonly alone: boolean
  /** Clients that may be told per second: control's grant, or null while there is none. */
  readonly granted: number | null
  /** What those who left by themselves since the last step took, from when each was told, ms. */
  readonly movesMs: readonly number[]
}

/** To be done in this order. */
export interface DrainStep {
  /** Whether new connections are taken. */
  readonly admits: boolean
  /** So many of those that were not told are told to move. */
  readonly tell: number
  /** Connections that were told before this time are closed. */
  readonly closeToldBeforeMs: number
  /** So many more are closed, told or not. */
  readonly close: number
}

/**
 * Of what is granted, so much is used: clients that were told in two seconds may come in one (a machine that stood still for a
 * second is enough), and must not exceed the grant then either.
 */
const usedShare = 0.5
/** Saved up at the most, of what the rate allows per second. */
const burstSeconds = 0.1
/** A grant is awaited for so long after settling, ms: a heartbeat, a look of control's, and another heartbeat. */
const awaitGrantMs = 3_000
/** Closes of one step where clients have nowhere to move, or no time: a pause after each keeps the process alive. */
export const closeBatch = 100
/** And no less than so much of them all, so that however many there are it is over in 4 s. */
const closeShare = 1 / 20
/**
 * Who is still here after so many times what a move lately took cannot move, or does not want to. On a machine that is busy with the moves
 * themselves all take long: closed after a fixed time, a third of 1,000 clients were disconnected that were about to move. Who leaves for a reason of
 * its own is taken for one that moved, so this has a bound.
 */
const patience = 5
/** Of the grace. */
const mostPatience = 2
const newest = 1 / 16

export function startDrain(limits: DrainLimits, nowMs: number): DrainState {
  return { startedAtMs: nowMs, limits, allowed: 0, atMs: nowMs, moveMs: 0, toldAtMs: nowMs }
}

/**
 * What an edge that drains does next (docs/spec.md DR): it settles, tells its clients to move at a pace that the others can bear,
 * and closes whoever is still there a while later, when those who can move have; at the deadline, or where there is no other edge, everybody. Asked
 * again every 50 ms or so until no connection is left. Changes the state in place.
 */
export function stepDrain(state: DrainState, view: DrainView, nowMs: number): DrainStep {
  const { open, untold, alone, granted } = view
  const { startedAtMs, limits } = state
  for (const tookMs of view.movesMs) state.moveMs += (tookMs - state.moveMs) * newest
  const nothing = { admits: false, tell: 0, closeToldBeforeMs: -Infinity, close: 0 }
  const deadlineMs = startedAtMs + limits.timeoutMs
  if (alone || nowMs >= deadlineMs) return { ...nothing, close: Math.max(closeBatch, Math.ceil(open * closeShare)) }
  const settledAtMs = startedAtMs + limits.settleMs
  const isLate = nowMs >= settledAtMs + awaitGrantMs
  const pace = granted === null ? (isLate ? limits.perSecond : 0) : granted * usedShare
  const allowed = allow(state, pace, nowMs)
  if (nowMs < settledAtMs) return { ...nothing, admits: true }
  const tell = Math.min(untold, Math.floor(allowed))
  state.allowed -= tell
  if (tell > 0) state.toldAtMs = nowMs
  const lastToldAtMs = untold === tell ? state.toldAtMs : nowMs + ((untold - tell) / pace) * 1_000
  return { ...nothing, tell, closeToldBeforeMs: nowMs - waitMs(state, deadlineMs - lastToldAtMs) }
}

/** So long is waited for each that was told. With more than is left for the last of them, all would be closed at once, at the deadline. */
function waitMs({ limits: { graceMs }, moveMs }: DrainState, leftMs: number): number {
  return Math.max(graceMs, Math.min(patience * moveMs, mostPatience * graceMs, leftMs))
}

function allow(state: DrainState, perSecond: number, nowMs: number): number {
  const more = (perSecond * Math.max(0, nowMs - state.atMs)) / 1_000
  state.atMs = nowMs
  state.allowed = Math.min(Math.max(1, perSecond * burstSeconds), state.allowed + more)
  return state.allowed
}
