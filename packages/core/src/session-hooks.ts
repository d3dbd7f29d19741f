import type { ClientFrame } from './frames.ts'
import { maxFrameBytes, maxHeldFrames, maxSubscriptions } from './limits.ts'
import { asksAnybody, decisionOf, hookFor, questionKey } from './session-permit.ts'
import type { HookedAction, Proof, Verdict, Wanted } from './session-permit.ts'
import { end } from './session-rooms.ts'
import { fail } from './session-state.ts'
import { refusal } from './session-text.ts'
import type { Open, SessionInput, SessionStep } from './session-state.ts'

/** What a session has asked services, and what they said. */
export interface Asking {
  /** By hook, action and room. */
  readonly verdicts: Map<string, Verdict>
  /** Questions on their way, by request. */
  readonly asks: Map<number, Question>
  /** Tokens for rooms that are being checked, by request. */
  readonly tokens: Map<number, { readonly held: Held; readonly room: string }>
  /** Frames that wait for answers, in order. */
  readonly held: Held[]
  heldBytes: number
}
interface Question {
  readonly hook: string
  readonly room: string
  readonly action: HookedAction
  /** Who waits for it; null: a subscription that is judged again. */
  readonly held: Held | null
}
export interface Held {
  readonly frame: ClientFrame
  readonly bytes: number
  readonly rooms: ReadonlySet<string>
  /** What the tokens that came with it are worth, by room. */
  readonly proofs: Map<string, Proof>
  asked: boolean
  /** Answers that are missing. */
  missing: number
}

/** Time that who has too many frames waiting is asked to wait, ms. */
const retryAfterMs = 1_000
const maxHeldBytes = 2 * maxFrameBytes
/** Verdicts that a session remembers: those of a resume of as many rooms as there may be, and some. */
const maxVerdicts = 2 * maxSubscriptions

/**
 * Whether a frame has to wait: for the services that decide about its rooms, for its rooms' tokens to be checked, or for an earlier
 * frame of the same room that waits. Frames of other rooms go on.
 */
export function holds(step: SessionStep, open: Open, frame: ClientFrame, bytes: number): boolean {
  const { state } = step
  const waits = (state.asking?.held.length ?? 0) > 0
  if (!waits && !asksAnybody(state.policy) && !hasToken(frame)) return false
  const rooms = new Set(roomsOf(frame))
  const isBehind = state.asking?.held.some((earlier) => shares(earlier.rooms, rooms)) === true
  if (!isBehind && !hasToken(frame) && questions(step, open, frame, noProofs).length === 0) return false
  const asking = (state.asking ??= createAsking())
  if (asking.held.length >= maxHeldFrames || asking.heldBytes + bytes > maxHeldBytes) {
    const message = 'too many frames wait for a decision already; nothing was done'
    fail(step, { code: 'OVERLOADED', message, id: frame.id, retryAfterMs })
    return true
  }
  const held: Held = { frame, bytes, rooms, proofs: new Map(), asked: false, missing: 0 }
  asking.held.push(held)
  asking.heldBytes += bytes
  checkTokens(step, asking, held)
  if (!isBehind) ask(step, open, asking, held)
  return true
}
function shares(some: ReadonlySet<string>, others: ReadonlySet<string>): boolean {
  const [few, many] = some.size < others.size ? [some, others] : [others, some]
  for (const each of few) if (many.has(each)) return true
  return false
}
const noProofs: ReadonlyMap<string, Proof> = new Map()

function createAsking(): Asking {
  return { verdicts: new Map(), asks: new Map(), tokens: new Map(), held: [], heldBytes: 0 }
}

type Wish = Extract<ClientFrame, { type: 'resume' }>['rooms'][number]
function wishesOf(frame: ClientFrame): readonly Wish[] {
  if (frame.type === 'resume') return frame.rooms
  return frame.type === 'subscribe' ? [frame] : []
}
const hasToken = (frame: ClientFrame): boolean => wishesOf(frame).some(({ token }) => token !== undefined)

function roomsOf(frame: ClientFrame): readonly string[] {
  if (frame.type === 'resume') return frame.rooms.map(({ room }) => room)
  return 'room' in frame ? [frame.room] : []
}

function wantedBy(frame: ClientFrame, proofs: ReadonlyMap<string, Proof>): readonly Wanted[] {
  switch (frame.type) {
    case 'subscribe':
    case 'resume':
      return wishesOf(frame).map(({ room }) => ({ room, action: 'join', proof: proofs.get(room) }))
    case 'history':
    case 'locks':
      return [{ room: frame.room, action: 'join' }]
    case 'publish':
      return [{ room: frame.room, action: 'publish', event: frame.event }]
    case 'lock':
    case 'unlock':
      return [{ room: frame.room, action: 'publish' }]
    default:
      return []
  }
}

/** What has to be asked before the frame can be judged. */
function questions(
  step: SessionStep,
  { identity }: Open,
  frame: ClientFrame,
  proofs: ReadonlyMap<string, Proof>,
): Omit<Question, 'held'>[] {
  const found = wantedBy(frame, proofs).flatMap((wanted) => {
    const hook = hookFor(step, identity, wanted)
    const { room, action } = wanted
    return hook === undefined || action === 'presence' ? [] : [{ hook, room, action }]
  })
  return [...new Map(found.map((each) => [questionKey(each), each])).values()]
}

function checkTokens({ state, effects }: SessionStep, asking: Asking, held: Held): void {
  // Of a room that is named twice the last wish counts (session-rooms.ts), and so does its token.
  const tokens = new Map(wishesOf(held.frame).map(({ room, token }) => [room, token]))
  for (const [room, token] of tokens) {
    if (token === undefined) continue
    const request = (state.requests += 1)
    asking.tokens.set(request, { held, room })
    held.missing += 1
    effects.push({ type: 'verifyRoom', request, token })
  }
}

/** Its tokens have been checked, and nothing of its rooms waits before it. */
function ask(step: SessionStep, open: Open, asking: Asking, held: Held): void {
  if (held.missing > 0 || held.asked) return
  held.asked = true
  for (const question of questions(step, open, held.frame, held.proofs)) {
    held.missing += 1
    put(step, open, asking, { ...question, held })
  }
}

function put({ state, effects }: SessionStep, { identity }: Open, asking: Asking, question: Question): void {
  const request = (state.requests += 1)
  asking.asks.set(request, question)
  const { hook, room, action } = question
  effects.push({ type: 'ask', request, about: { type: 'room', hook, room, action }, identity })
}

/** The next frame whose answers are there, taken out of those that wait. What it does may make others wait or go. */
export function nextReady(step: SessionStep, open: Open): Held | undefined {
  const { asking } = step.state
  if (asking === null) return undefined
  const busy = new Set<string>()
  for (const [i, held] of asking.held.entries()) {
    const isBehind = shares(busy, held.rooms)
    if (!isBehind) ask(step, open, asking, held)
    if (!isBehind && held.asked && held.missing === 0) {
      asking.held.splice(i, 1)
      asking.heldBytes -= held.bytes
      return held
    }
    for (const room of held.rooms) busy.add(room)
  }
  return undefined
}

/** A token for a room has been checked. It opens the room that it names, for the user that it names. */
export function tokenChecked(
  { state, clock }: SessionStep,
  { identity }: Open,
  { request, verdict }: Extract<SessionInput, { type: 'roomToken' }>,
): void {
  const found = state.asking?.tokens.get(request)
  if (found === undefined) return
  state.asking?.tokens.delete(request)
  const { held, room } = found
  held.missing -= 1
  if (!verdict.ok) {
    if (verdict.retryable) held.proofs.set(room, 'unknown')
    else if (verdict.expired) held.proofs.set(room, 'expired')
    return
  }
  const { userId, tenantId, rooms, expiresAtMs } = verdict
  if (userId !== identity.userId || (tenantId !== undefined && tenantId !== identity.tenantId)) return
  if (!rooms.includes(room)) return
  const leftMs = expiresAtMs - clock.wallMs
  held.proofs.set(room, leftMs > 0 ? clock.now + leftMs : 'expired')
}

/** A service has said what it thinks of a room, or could not be asked. */
export function asked(
  step: SessionStep,
  open: Open,
  { request, answer }: Extract<SessionInput, { type: 'asked' }>,
): void {
  const { state, clock } = step
  const { asking } = state
  const question = asking?.asks.get(request)
  if (asking === null || question === undefined) return
  asking.asks.delete(request)
  if (question.held !== null) question.held.missing -= 1
  const key = questionKey(question)
  asking.verdicts.delete(key)
  asking.verdicts.set(key, { outcome: answer.outcome, untilMs: clock.now + answer.validMs })
  forget(asking, clock.now)
  const { hook, room, action } = question
  if (answer.outcome !== 'deny' || action !== 'join' || !state.rooms.has(room)) return
  const decision = decisionOf(step, open.identity, { room, action })
  if (!decision.allow && decision.hook === hook) end(step, room, refusal('FORBIDDEN'))
}

/** The oldest first, and those that do not count any more. */
function forget({ verdicts }: Asking, nowMs: number): void {
  if (verdicts.size <= maxVerdicts) return
  for (const [key, { untilMs }] of verdicts) if (untilMs <= nowMs) verdicts.delete(key)
  for (const key of verdicts.keys()) {
    if (verdicts.size <= maxVerdicts) return
    verdicts.delete(key)
  }
}

/** The policy, or what the token says, is another one: who is in a room by a service's word is asked about again, and stays until the answer. */
export function askAgain(step: SessionStep, open: Open): void {
  const { state } = step
  state.asking?.verdicts.clear()
  if (!asksAnybody(state.policy)) return
  const underWay = new Set(Array.from(state.asking?.asks.values() ?? [], questionKey))
  for (const room of state.rooms.keys()) {
    const { hook } = { hook: undefined, ...decisionOf(step, open.identity, { room, action: 'join' }) }
    if (hook === undefined || underWay.has(questionKey({ hook, room, action: 'join' }))) continue
    put(step, open, (state.asking ??= createAsking()), { hook, room, action: 'join', held: null })
  }
}
