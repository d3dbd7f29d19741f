import {
  bootsToDrain,
  fullPace,
  grantDrains,
  knowProcesses,
  paceDrains,
  reconnectsPerSecond,
  requestDrain,
} from './control-drains.ts'
import type { DrainPace, DrainRequests } from './control-drains.ts'
import { awaitBeats, isChanged, livingWorkers, sight } from './control-members.ts'
import { decideMoves, noteDrains } from './control-moves.ts'
import type { MoveContext } from './control-moves.ts'
import {
  acceptReports,
  addReplaced,
  adoptPlan,
  applyMoves,
  awaitMoved,
  awaitReports,
  highestEpoch,
  knownReplaced,
  newestPlan,
  samePlan,
} from './control-plan.ts'
import type { Move, NumberedMove } from './control-plan.ts'
import { forgetGone, hearLate, hearPods, nothingKnown } from './control-pods.ts'
import type { Platform, Pods } from './control-pods.ts'
import type { Member, Plan, Role } from './plan.ts'

/** How often the fleet is read, ms. */
export const controlPollMs = 250
/** Two reads further apart than this: the store (or this process) was away, ms. */
export const controlGapMs = 1_000
/** The leader's lease, and how often it is renewed, ms. */
export const leaseTtlMs = 3_000
export const leaseRenewMs = 1_000
/** The removal of a dead member is repeated this often while its record stays, ms. */
const removeEveryMs = 1_000
/** One read adds at most this many poll intervals to anybody's silence. */
const maxPollsPerRead = 1.5

/**
 * What control does one after the other: it reads, gets epochs for the moves it decided on, publishes, and reads again.
 * So no decision is made on a reading that is older than the last plan of its own.
 */
type Phase =
  | { readonly type: 'idle' }
  | { readonly type: 'reading' }
  | { readonly type: 'numbering'; readonly moves: readonly Move[] }
  | { readonly type: 'publishing'; readonly before: Plan }

export interface ControlState extends MoveContext {
  /** Slots of the fleet, as configured. */
  readonly slots: number
  readonly phase: Phase
  /** The plan as control holds it. Version 0: nothing was published yet. */
  readonly plan: Plan
  /** Highest epoch ever seen or issued. */
  readonly highest: number
  /** Highest version of a plan that a member has heard of. */
  readonly newest: number
  /**
   * Until when, by control's own clock, it takes itself for the leader; null: it does not. One that was elected in a higher term may have the
   * lease before: then the store refuses the next plan, and this one knows.
   */
  readonly leaseUntilMs: number | null
  readonly lead: { readonly sentAtMs: number; readonly asking: boolean } | null
  /** When the last successful read was answered. */
  readonly observedAtMs: number | null
  /** A call to the store failed since then: the next read begins everybody's silence anew. */
  readonly outage: boolean
  readonly runs: readonly string[]
  /** Workers that have not been heard since a server was another than before: until then nothing is decided. */
  readonly unheard: ReadonlySet<string>
  /** The stored plan has another number of slots: nothing is decided. */
  readonly mismatch: boolean
  readonly removals: ReadonlyMap<string, number>
  readonly platform: Platform
  readonly drainRequests: DrainRequests
  /** Clients that all edges which drain may tell to move, per second, when the others keep up. */
  readonly reconnectsPerSecond: number
  readonly drainPace: DrainPace
}

export type ControlInput =
  | { readonly type: 'tick' }
  | { readonly type: 'led'; readonly leading: boolean }
  | {
      readonly type: 'observed'
      readonly members: readonly Member[]
      readonly plan: Plan | null
      readonly runs: readonly string[]
    }
  | { readonly type: 'epochs'; readonly first: number; readonly count: number }
  /** So many are not to be had now: the store answers, and what was decided is decided again after the next read. */
  | { readonly type: 'noEpochs' }
  | { readonly type: 'published'; readonly ok: boolean }
  /** The answer to an effect did not come: the store is away, and what a write did is not known. */
  | { readonly type: 'leadFailed' | 'readFailed' | 'epochsFailed' | 'publishFailed' }
  | { readonly type: 'drainRequested'; readonly boot: string }
  /** All pods of the fleet that are there now, where it runs on Kubernetes. */
  | { readonly type: 'pods'; readonly pods: Pods }

/** Each of `lead`, `read`, `issueEpochs` and `publish` is answered by exactly one input. */
export type ControlEffect =
  | { readonly type: 'lead'; readonly ttlMs: number }
  | { readonly type: 'read' }
  | { readonly type: 'issueEpochs'; readonly above: number; readonly count: number }
  | { readonly type: 'publish'; readonly plan: Plan; readonly moves: readonly NumberedMove[] }
  /** The member is dead, or has `left` by itself: its outboxes are removed, and then its record. */
  | { readonly type: 'remove'; readonly boot: string; readonly role: Role; readonly left: boolean }

export interface ControlStep {
  readonly state: ControlState
  readonly effects: readonly ControlEffect[]
}

const idle = { type: 'idle' } as const

export function startControl(
  slots: number,
  options: Partial<Pick<ControlState, 'reconnectsPerSecond'>> = {},
): ControlState {
  return {
    slots,
    phase: idle,
    plan: adoptPlan(null, null, slots),
    sightings: new Map(),
    waits: new Map(),
    highest: 0,
    newest: 0,
    leaseUntilMs: null,
    lead: null,
    observedAtMs: null,
    outage: false,
    runs: [],
    unheard: new Set(),
    mismatch: false,
    drains: new Set(),
    drainingSince: new Map(),
    successors: new Map(),
    movedAtMs: null,
    removals: new Map(),
    platform: nothingKnown,
    drainRequests: new Set(),
    reconnectsPerSecond,
    drainPace: fullPace,
    ...options,
  }
}

export function isLeading(state: ControlState, nowMs: number): boolean {
  return state.leaseUntilMs !== null && nowMs < state.leaseUntilMs
}

/** `nowMs` is monotonic. The state is not changed in place. */
export function stepControl(state: ControlState, input: ControlInput, nowMs: number): ControlStep {
  switch (input.type) {
    case 'tick':
      return tick(state, nowMs)
    case 'led':
      return { state: { ...state, ...ledBy(state, input.leading) }, effects: [] }
    case 'leadFailed':
      return { state: { ...state, lead: answered(state), outage: true }, effects: [] }
    case 'observed':
      return observe(state, input, nowMs)
    case 'epochs':
      return number(state, input, nowMs)
    case 'noEpochs':
      return { state: { ...state, phase: idle }, effects: [] }
    case 'published':
      return { state: published(state, input.ok), effects: [] }
    case 'readFailed':
    case 'epochsFailed':
    case 'publishFailed':
      return { state: { ...state, phase: idle, outage: true }, effects: [] }
    case 'drainRequested':
      return {
        state: { ...state, drainRequests: requestDrain(state.drainRequests, input.boot, state.sightings) },
        effects: [],
      }
    case 'pods': {
      const platform = hearPods(state.platform, input.pods, state.sightings.keys(), nowMs)
      return { state: { ...state, platform }, effects: [] }
    }
  }
}

function tick(state: ControlState, nowMs: number): ControlStep {
  const effects: ControlEffect[] = []
  let { lead, phase } = state
  if (lead === null || (!lead.asking && nowMs - lead.sentAtMs >= leaseRenewMs)) {
    lead = { sentAtMs: nowMs, asking: true }
    effects.push({ type: 'lead', ttlMs: leaseTtlMs })
  }
  if (phase.type === 'idle') {
    phase = { type: 'reading' }
    effects.push({ type: 'read' })
  }
  return { state: { ...state, lead, phase }, effects }
}

function answered(state: ControlState): ControlState['lead'] {
  return state.lead === null ? null : { ...state.lead, asking: false }
}

/** The lease runs from the moment it was asked for: the store cannot have granted it earlier. */
function ledBy(state: ControlState, leading: boolean): Pick<ControlState, 'lead' | 'leaseUntilMs'> {
  const lead = answered(state)
  return { lead, leaseUntilMs: leading && lead !== null ? lead.sentAtMs + leaseTtlMs : null }
}

function observe(state: ControlState, read: Extract<ControlInput, { type: 'observed' }>, nowMs: number): ControlStep {
  // Of a server that does not say which run it is, the last one known is taken.
  const lastRun = (primary: number): string => state.runs[primary] || (read.plan?.runs[primary] ?? '')
  const runs = read.runs.map((run, primary) => (run === '' ? lastRun(primary) : run))
  const elapsedMs = countedSilence(state, runs, nowMs)
  const seen = { ...state, phase: idle, observedAtMs: nowMs, outage: false, runs }
  if (read.plan !== null && read.plan.slots.length !== state.slots) {
    return { state: { ...seen, runs: state.runs, mismatch: true }, effects: [] }
  }
  const adopted = adoptPlan(state.plan.version === 0 ? null : state.plan, read.plan, state.slots)
  const assigned = new Set<string>()
  for (const assignment of adopted.slots) if (assignment !== null) assigned.add(assignment.worker)
  const sightings = sight(state.sightings, {
    members: read.members,
    assigned,
    elapsedMs,
    nowMs,
    gone: state.platform.gone,
  })
  const platform =
    state.observedAtMs === null
      ? hearLate(state.platform, sightings.keys(), nowMs)
      : forgetGone(state.platform, state.sightings, sightings, nowMs)
  const drainRequests = knowProcesses(state.drainRequests, sightings)
  const workers = livingWorkers(sightings)
  const slots = acceptReports(adopted.slots, workers)
  const known = knownReplaced([state.plan, read.plan], sightings)
  const highest = Math.max(state.highest, highestEpoch(slots, sightings), ...Object.values(known ?? {}))
  const before = runs.map((_, primary) => state.runs[primary] || (adopted.runs[primary] ?? ''))
  const replaced = addReplaced(known, { before, now: runs, highest })
  const drains = bootsToDrain(drainRequests, platform.leaving, sightings)
  const next: ControlState = {
    ...seen,
    mismatch: false,
    plan: { ...adopted, slots, ...(replaced === undefined ? {} : { replaced }) },
    sightings,
    waits: awaitReports(state.waits, slots, workers, elapsedMs),
    unheard: awaitBeats(state, { sightings, living: workers, changed: isChanged(before, runs) }),
    highest,
    newest: Math.max(state.newest, newestPlan(sightings)),
    platform,
    drainRequests,
    drains,
    drainingSince: noteDrains(state.drainingSince, { living: workers, drains, nowMs }),
  }
  const decides = isLeading(next, nowMs) && next.unheard.size === 0
  return decides ? decide(next, read.plan, nowMs) : { state: next, effects: [] }
}

/** Time that counts as silence since the last read; null when the store was away in between. */
function countedSilence(state: ControlState, runs: readonly string[], nowMs: number): number | null {
  if (state.observedAtMs === null || state.outage) return null
  if (runs.length !== state.runs.length || runs.some((run, i) => run !== state.runs[i])) return null
  const gapMs = nowMs - state.observedAtMs
  return gapMs > controlGapMs ? null : Math.min(gapMs, controlPollMs * maxPollsPerRead)
}

function decide(state: ControlState, stored: Plan | null, nowMs: number): ControlStep {
  const { removals, effects } = remove(state, nowMs)
  const { moves, successors } = decideMoves(state, nowMs)
  const drainPace = paceDrains(state.drainPace, state, nowMs)
  const next = { ...state, removals, successors, drainPace }
  if (moves.length > 0) {
    const phase = { type: 'numbering', moves } as const
    effects.push({ type: 'issueEpochs', above: state.highest, count: moves.length })
    return { state: { ...next, phase }, effects }
  }
  const written = stored !== null && stored.version === state.plan.version && stored.version >= state.newest
  if (written && samePlan(stored, contentOf(next))) return { state: next, effects }
  const step = publish(next, [])
  return { state: step.state, effects: [...effects, ...step.effects] }
}

function remove(state: ControlState, nowMs: number): { removals: Map<string, number>; effects: ControlEffect[] } {
  const removals = new Map<string, number>()
  const effects: ControlEffect[] = []
  for (const { boot, role, member, present, dead } of state.sightings.values()) {
    if (!dead) continue
    const askedAtMs = state.removals.get(boot)
    const due = askedAtMs === undefined || nowMs - askedAtMs >= removeEveryMs
    removals.set(boot, due ? nowMs : askedAtMs)
    // One that drained and still has its record did not take it away itself: it crashed on the way.
    const left = !present && member?.state === 'draining'
    if (due) effects.push({ type: 'remove', boot, role, left })
  }
  return { removals, effects }
}

/** Gives the moves their epochs, unless the lease ran out meanwhile or the counter stands below what was seen. */
function number(state: ControlState, answer: { first: number; count: number }, nowMs: number): ControlStep {
  const { phase } = state
  if (phase.type !== 'numbering') return { state, effects: [] }
  const usable = answer.first > state.highest && answer.count >= phase.moves.length
  if (!usable || !isLeading(state, nowMs)) return { state: { ...state, phase: idle }, effects: [] }
  const { slots, numbered } = applyMoves(state.plan.slots, phase.moves, answer.first)
  const waits = awaitMoved(state.waits, numbered)
  const highest = answer.first + answer.count - 1
  const movedAtMs = numbered.some(({ reason }) => reason !== 'reclaim') ? nowMs : state.movedAtMs
  return publish({ ...state, plan: { ...state.plan, slots }, waits, highest, movedAtMs }, numbered, state.plan)
}

function publish(state: ControlState, moves: readonly NumberedMove[], before: Plan = state.plan): ControlStep {
  const plan = { version: Math.max(state.plan.version, state.newest) + 1, ...contentOf(state) }
  return {
    state: { ...state, plan, phase: { type: 'publishing', before } },
    effects: [{ type: 'publish', plan, moves }],
  }
}

/** What a plan has to say now. */
function contentOf(state: ControlState): Omit<Plan, 'version'> {
  const { plan, runs, reconnectsPerSecond: perSecond, drainPace } = state
  const drains = grantDrains(state, perSecond, drainPace)
  const { slots, replaced } = plan
  return { slots, runs, ...(replaced && { replaced }), ...(drains && { drains }) }
}

/**
 * A refused plan is forgotten: another leader's is stored, and the next read brings it. Most likely that one has the lease too: nothing is decided
 * until the store says again who has, which is asked at once.
 */
function published(state: ControlState, ok: boolean): ControlState {
  const { phase, lead } = state
  if (phase.type !== 'publishing') return state
  if (ok) return { ...state, phase: idle }
  const asked = lead === null || lead.asking ? lead : { ...lead, sentAtMs: -Infinity }
  return { ...state, phase: idle, plan: phase.before, leaseUntilMs: null, lead: asked }
}
