import type { Taken } from './bucket.ts'
import type { ClientFrame } from './frames.ts'
import { maxFrameBytes } from './limits.ts'
import { createRateStore, rateOf, takeEvent } from './rates.ts'
import { userRoom } from './session-rooms.ts'
import { fail } from './session-state.ts'
import type { Fault, Open, SessionStep } from './session-state.ts'
import { draw } from './user-leases.ts'
import type { UserRate } from './user-leases.ts'

/** A publish that waits for the worker of its user to lease an event. */
export interface Unleased {
  readonly frame: Extract<ClientFrame, { type: 'publish' }>
  /** JSON text. */
  readonly data: string
}
/** Those of a connection, in order: what is published behind one waits too. */
export interface Unleaseds {
  readonly queue: Unleased[]
  chars: number
}

/** UTF-16 units of data of one connection that may wait for a lease. */
const maxUnleasedChars = 2 * maxFrameBytes
/** Time that who has too many waiting is asked to wait, ms. */
const retryAfterMs = 1_000

/** Whether it may go on. Otherwise it was refused, or waits. Judged last: what is refused for another reason costs nothing. */
export function mayGo(step: SessionStep, open: Open, unleased: Unleased): boolean {
  const { state } = step
  if (state.policy.rates === null && state.unleased === null) return true
  if (state.unleased !== null) {
    wait(step, unleased)
    return false
  }
  const taken = takeRate(step, open, unleased.frame.event)
  if ('ok' in taken) return taken.ok || refuse(step, unleased, rateFault(taken.retryAfterMs))
  if (wait(step, unleased)) step.effects.push({ type: 'rate', rate: taken })
  return false
}

/** What may go now, one after the other; the rest waits on. */
export function nextLeased(step: SessionStep, open: Open): Unleased | undefined {
  const { state } = step
  while (state.unleased !== null) {
    const { queue } = state.unleased
    const [first] = queue
    if (first === undefined) break
    const taken = takeRate(step, open, first.frame.event)
    if (!('ok' in taken)) {
      step.effects.push({ type: 'rate', rate: taken })
      return undefined
    }
    queue.shift()
    state.unleased.chars -= first.data.length
    if (queue.length === 0) state.unleased = null
    if (taken.ok) return first
    refuse(step, first, rateFault(taken.retryAfterMs))
  }
  return undefined
}

function wait(step: SessionStep, unleased: Unleased): boolean {
  const { state } = step
  const waiting = (state.unleased ??= { queue: [], chars: 0 })
  const chars = waiting.chars + unleased.data.length
  if (waiting.queue.length >= state.limits.maxPublishesInFlight || chars > maxUnleasedChars) {
    const message = 'too many publishes wait already; nothing was appended'
    return refuse(step, unleased, { code: 'OVERLOADED', message, retryAfterMs })
  }
  waiting.queue.push(unleased)
  waiting.chars = chars
  return true
}

/** The rate of which one has to be leased first, or whether there was one. */
function takeRate({ state, clock }: SessionStep, { identity }: Open, event: string): Taken | UserRate {
  const { rates } = state.policy
  if (rates === null) return { ok: true }
  const { userId, tenantId = '' } = identity
  const user = `${tenantId}\n${userId}`
  const { name, rate } = rateOf(rates, event)
  if (state.leases !== null && rate?.per === 'user') {
    const wanted = { room: userRoom(identity), user, name, limit: rate.limit, periodMs: rate.periodMs }
    const drawn = draw(state.leases, wanted, clock.now)
    if (drawn === 'wait') return wanted
    if (drawn !== 'alone') return drawn
  }
  const connection = () => (state.rates ??= createRateStore())
  return takeEvent(rates, { event, user, users: state.userRates, connection }, clock.now)
}

function refuse(step: SessionStep, { frame: { id, room, event } }: Unleased, fault: Fault): false {
  fail(step, { ...fault, id, room, event })
  return false
}

const rateFault = (ms: number): Fault => ({
  ...{ code: 'RATE_LIMITED', message: 'too many events of this kind, nothing was done', retryAfterMs: ms },
})
