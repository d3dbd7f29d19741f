import type { AskMessage } from './ask-entry.ts'
import { lockFields, lockMessage } from './lock-entry.ts'
import type { LockMessage } from './lock-entry.ts'
import { memberFields, memberMessage } from './member-entry.ts'
import type { MemberMessage, QueryMessage } from './member-entry.ts'
import { rateFields, rateMessage } from './rate-entry.ts'
import type { RateMessage } from './rate-entry.ts'

/** Messages that travel as ephemeral events of a room that no client can name: for a worker that does not know them they are events for nobody. */
export type HiddenMessage = MemberMessage | QueryMessage | AskMessage | LockMessage | RateMessage

/** After the kind of an ephemeral event: room, options, tail. */
export function hiddenFields(message: HiddenMessage): readonly string[] {
  if (message.type === 'lock') return lockFields(message)
  return message.type === 'rate' ? rateFields(message) : memberFields(message)
}

/** Undefined when it is an ephemeral event, or of a form that this version does not know. */
export function hiddenMessage(room: string, options: string, tail: string): HiddenMessage | undefined {
  return memberMessage(room, options, tail) ?? lockMessage(room, options) ?? rateMessage(room, options)
}
