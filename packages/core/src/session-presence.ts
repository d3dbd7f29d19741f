import { take } from './bucket.ts'
import type { ClientFrame } from './frames.ts'
import { maxPresenceStateChars, showRoomsPerFrame } from './limits.ts'
import { hasPresence } from './policy.ts'
import { dataText } from './sensitive.ts'
import { permit } from './session-permit.ts'
import { fail, send } from './session-state.ts'
import type { SessionState, SessionStep, Subscription } from './session-state.ts'

/** A subscription that is live makes its connection a member, where the policy keeps members; it is told of the others if it asked and may. */
export function attend(step: SessionStep, room: string, subscription: Subscription): void {
  const { attends } = subscription
  const member = hasPresence(step.state.policy, room)
  const watch = member && isTold(step, room, subscription)
  if (attends === null ? !member : attends.member === member && attends.watch === watch) return
  subscription.attends = { member, watch }
  step.effects.push({ type: 'attend', room, member, watch })
}

/** Of a subscription that was replaced: who asks again is told of everybody again. */
export function attendAgain(
  step: SessionStep,
  room: string,
  before: Subscription | undefined,
): Subscription['attends'] {
  const attends = before?.attends ?? null
  if (attends?.watch !== true) return attends
  const again = { ...attends, watch: false }
  step.effects.push({ type: 'attend', room, ...again })
  return again
}

/** What an answer says of it; nothing when it did not ask. */
export function presenceOf(step: SessionStep, room: string, subscription: Subscription): { presence?: boolean } {
  return subscription.presence ? { presence: isTold(step, room, subscription) } : {}
}

function isTold(step: SessionStep, room: string, { presence }: Subscription): boolean {
  const { phase } = step.state
  return presence && phase.type === 'open' && permit(step, phase.identity, { room, action: 'presence' }).allow
}

/** What the user shows of itself, in every room. */
export function show(step: SessionStep, { id, status, data }: Extract<ClientFrame, { type: 'presence' }>): void {
  const shown = data === undefined ? '' : `,"data":${dataText(data, step.state.policy.sensitive)}`
  const state = `{"status":${JSON.stringify(status)}${shown}}`
  if (state.length > maxPresenceStateChars) {
    const message = `at most ${maxPresenceStateChars} characters of JSON can be shown`
    return fail(step, { code: 'PAYLOAD_TOO_LARGE', message, id })
  }
  const rate = take(step.state.frames, furtherFrames(step.state), step.clock.now)
  if (!rate.ok) {
    const { retryAfterMs } = rate
    return fail(step, { code: 'RATE_LIMITED', message: 'shown too often in too many rooms', id, retryAfterMs })
  }
  step.effects.push({ type: 'show', state })
  send(step, { type: 'ok', id })
}

/** One was counted when the frame came. No more than a connection has after a silence: else it could never show anything. */
function furtherFrames({ rooms, frames }: SessionState): number {
  let attended = 0
  for (const { attends } of rooms.values()) if (attends?.member === true) attended += 1
  return Math.max(0, Math.min(Math.ceil(attended / showRoomsPerFrame), frames.capacity) - 1)
}
