import type { ClientFrame } from './frames.ts'
import { maxDataBytes } from './limits.ts'
import { decide } from './policy.ts'
import { validEventName, validKey } from './room-name.ts'
import { fail, send } from './session-state.ts'
import type { Fault, Open, SessionInput, SessionState, SessionStep } from './session-state.ts'
import { refusalText } from './session-text.ts'

type PublishFrame = Extract<ClientFrame, { type: 'publish' }>
/** Time a publisher over its limit is asked to wait, ms. */
const retryAfterMs = 1_000

export function publish(step: SessionStep, open: Open, frame: PublishFrame): void {
  const { state, clock, effects } = step
  const { id, room, event, ephemeral = false } = frame
  const fault = judge(state, open, frame)
  if (fault !== undefined) return fail(step, { ...fault, id, room })
  const data = JSON.stringify(frame.data ?? null)
  if (utf8Bytes(data) > maxDataBytes) {
    return fail(step, { code: 'PAYLOAD_TOO_LARGE', message: `data is larger than ${maxDataBytes} bytes`, id, room })
  }
  const { userId } = open.identity
  const meta = { userId, timestamp: clock.timestamp, connectionId: state.connectionId }
  const tail = `"event":${JSON.stringify(event)},"data":${data},"meta":${JSON.stringify(meta)}`
  if (ephemeral) {
    effects.push({ type: 'ephemeral', room, tail })
    return send(step, { type: 'ok', id, room })
  }
  const request = (state.requests += 1)
  state.publishes ??= new Map()
  state.publishes.set(request, { id, room })
  const key = frame.key ?? `${state.connectionId}:${request}`
  effects.push({ type: 'publish', request, message: { room, key, sender: userId, options: '', tail } })
}

function judge(state: SessionState, open: Open, { room, event, key, ephemeral }: PublishFrame): Fault | undefined {
  const decision = decide(open.identity, room, 'publish')
  if (!decision.allow) return { code: decision.code, message: refusalText[decision.code] }
  if (!validEventName(event)) return { code: 'VALIDATION_ERROR', message: 'event: has a character that is not allowed' }
  if (key !== undefined && !validKey(key))
    return { code: 'VALIDATION_ERROR', message: 'key: 1 to 128 printable characters' }
  if (ephemeral === true || (state.publishes?.size ?? 0) < state.limits.maxPublishesInFlight) return undefined
  const message = `${state.limits.maxPublishesInFlight} publishes wait for their acknowledgement already; nothing was appended`
  return { code: 'OVERLOADED', message, retryAfterMs }
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
function utf8Bytes(text: string): number {
  if (text.length * 3 <= maxDataBytes || text.length > maxDataBytes) return text.length
  let bytes = text.length
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    // A surrogate is one half of four bytes; what is above U+07FF otherwise has three.
    if (unit > 0x7f) bytes += unit > 0x7ff && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1
  }
  return bytes
}
