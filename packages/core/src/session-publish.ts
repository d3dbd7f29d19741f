import { writeOptions } from './event-options.ts'
import type { ClientFrame } from './frames.ts'
import { maxConflatedDataBytes, maxDataBytes, maxMatchChars } from './limits.ts'
import { validEventName, validKey } from './room-name.ts'
import { dataText, matchWithout } from './sensitive.ts'
import { permit } from './session-permit.ts'
import { mayGo, nextLeased } from './session-rates.ts'
import { fail, send } from './session-state.ts'
import type { Fault, Open, SessionInput, SessionStep } from './session-state.ts'

type PublishFrame = Extract<ClientFrame, { type: 'publish' }>
/** Time a publisher over its limit is asked to wait, ms. */
const retryAfterMs = 1_000

export function publish(step: SessionStep, open: Open, frame: PublishFrame): void {
  const { id, room, event } = frame
  const refused = judge(step, open, frame)
  if (refused !== undefined) return fail(step, { ...refused, id, room, event })
  const data = dataText(frame.data, step.state.policy.sensitive)
  const fault = sizeFault(frame, data)
  if (fault !== undefined) return fail(step, { ...fault, id, room, event })
  if (mayGo(step, open, { frame, data })) go(step, open, frame, data)
}

/** The worker of the user has answered, or did not in time. */
export function leased(step: SessionStep): void {
  const { phase } = step.state
  if (phase.type !== 'open') return
  for (let next = nextLeased(step, phase); next !== undefined; next = nextLeased(step, phase))
    go(step, phase, next.frame, next.data)
}

function go(step: SessionStep, open: Open, frame: PublishFrame, data: string): void {
  const { state, clock, effects } = step
  const { id, room, event, ephemeral = false } = frame
  const match = frame.match === undefined ? undefined : matchWithout(frame.match, state.policy.sensitive)
  const options = optionsOf({ ...frame, match }, state.connectionId, clock.wallMs)
  const { userId } = open.identity
  const meta = { userId, timestamp: clock.timestamp, connectionId: state.connectionId }
  const tail = `"event":${JSON.stringify(event)},"data":${data},"meta":${JSON.stringify(meta)}`
  if (ephemeral) {
    effects.push({ type: 'ephemeral', room, options, tail })
    return send(step, { type: 'ok', id, room })
  }
  const request = (state.requests += 1)
  state.publishes ??= new Map()
  state.publishes.set(request, { id, room })
  const key = frame.key ?? `${state.connectionId}:${request}`
  effects.push({ type: 'publish', request, message: { room, key, sender: userId, options, tail } })
}

function optionsOf(
  {
    echo,
    except = [],
    match,
    conflate,
    ttl,
  }: Omit<PublishFrame, 'match'> & { match: PublishFrame['match'] | undefined },
  connectionId: string,
  wallMs: number,
) {
  return writeOptions({
    except: echo === false ? [...except, connectionId] : except,
    match,
    // Two devices of a user have a cursor each. An id of a connection has no space in it.
    conflate: conflate === undefined ? undefined : `${connectionId} ${conflate}`,
    until: ttl === undefined ? undefined : wallMs + ttl,
  })
}

function judge(step: SessionStep, open: Open, frame: PublishFrame): Fault | undefined {
  const { state } = step
  const { room, event, ephemeral } = frame
  if (!validEventName(event)) return { code: 'VALIDATION_ERROR', message: 'event: has a character that is not allowed' }
  const permission = permit(step, open.identity, { room, action: 'publish', event })
  if (!permission.allow) return permission.fault
  const message = optionsFault(frame)
  if (message !== undefined) return { code: 'VALIDATION_ERROR', message }
  if (
    ephemeral === true ||
    (state.publishes?.size ?? 0) + (state.unleased?.queue.length ?? 0) < state.limits.maxPublishesInFlight
  )
    return undefined
  const waits = `${state.limits.maxPublishesInFlight} publishes wait for their acknowledgement already; nothing was appended`
  return { code: 'OVERLOADED', message: waits, retryAfterMs }
}

function optionsFault({ key, match, ephemeral = false, conflate, ttl }: PublishFrame): string | undefined {
  if (key !== undefined && !validKey(key)) return 'key: 1 to 128 printable characters'
  if (match !== undefined && JSON.stringify(match).length > maxMatchChars)
    return `match: more than ${maxMatchChars} characters of JSON`
  if (ttl !== undefined && ephemeral) return 'ttl: an ephemeral event is not kept'
  if (conflate === undefined) return undefined
  if (!ephemeral) return 'conflate: every durable event is kept'
  return validKey(conflate) ? undefined : 'conflate: 1 to 64 printable characters'
}

function sizeFault({ conflate }: PublishFrame, data: string): Fault | undefined {
  const max = conflate === undefined ? maxDataBytes : maxConflatedDataBytes
  if (utf8Bytes(data, max) <= max) return undefined
  return { code: 'PAYLOAD_TOO_LARGE', message: `data is larger than ${max} bytes` }
}

export function published(step: SessionStep, { request, outcome }: Extract<SessionInput, { type: 'published' }>): void {
  const waiting = step.state.publishes?.get(request)
  if (waiting === undefined) return
  step.state.publishes?.delete(request)
  const { id, room } = waiting
  if (outcome.type === 'committed') {
    return send(step, { type: 'ok', id, room, position: { epoch: outcome.epoch, seq: outcome.seq } })
  }
  const [code, message] =
    outcome.type === 'unknown'
      ? (['UNKNOWN', unknownText] as const)
      : ([outcome.code, refusedText(outcome.code)] as const)
  send(step, { type: 'error', id, code, message, room, retryAfterMs: outcome.retryAfterMs })
}

const unknownText = 'not known to be committed: publish again with the same key, and it stays one message'
function refusedText(code: string): string {
  return code === 'OVERLOADED' ? 'nothing was appended, retry later' : 'refused by the room'
}

/** Bytes of the text in UTF-8. Counted only when they could matter. */
function utf8Bytes(text: string, max: number): number {
  if (text.length * 3 <= max || text.length > max) return text.length
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    // A surrogate is one half of four bytes; what is above U+07FF otherwise has three.
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1
  }
  return bytes
}
