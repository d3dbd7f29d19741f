/** Names that clients choose: rooms, events, keys. They travel in entries whose delimiters are control characters. */

/** Lengths in UTF-16 code units, which is what a JSON schema and `String.length` count. */
export const maxRoomChars = 200
export const maxRoomTypeChars = 32
export const maxEventChars = 128
export const maxKeyChars = 128

/** Why a name was refused: its length, a control character, an unpaired surrogate, its parts, or its type. */
export type RoomNameFault = 'length' | 'control' | 'surrogate' | 'form' | 'type'
export interface RoomName {
  readonly ok: true
  readonly name: string
  readonly type: string
  /** Of three-part names only. */
  readonly tenant?: string
  readonly id: string
}
export type ParsedRoomName = RoomName | { readonly ok: false; readonly reason: RoomNameFault }

const typePattern = /^[a-z][a-z0-9_-]*$/
// C1 controls and the two separators are harmless to us and invisible to people who compare keys in logs.
const unprintable = /[\p{Cc}\p{Cs}\u2028\u2029]/u

/**
 * `type:id` or `type:tenant:id`.
 * @example parseRoomName('deal:acme:7') // { ok: true, name: 'deal:acme:7', type: 'deal', tenant: 'acme', id: '7' }
 */
export function parseRoomName(name: string): ParsedRoomName {
  const fault = textFault(name, maxRoomChars)
  if (fault !== undefined) return { ok: false, reason: fault }
  const [type = '', first = '', second, ...more] = name.split(':')
  if (more.length > 0 || first === '' || second === '') return { ok: false, reason: 'form' }
  if (!isRoomType(type)) return { ok: false, reason: 'type' }
  if (second === undefined) return { ok: true, name, type, id: first }
  return { ok: true, name, type, tenant: first, id: second }
}

export function isRoomType(type: string): boolean {
  return type.length <= maxRoomTypeChars && typePattern.test(type)
}

export function validEventName(event: string): boolean {
  return textFault(event, maxEventChars) === undefined
}

/** A publish key is shown to people and put into headers, so it must also be printable. */
export function validKey(key: string): boolean {
  return key.length >= 1 && key.length <= maxKeyChars && !unprintable.test(key)
}

function textFault(text: string, maxChars: number): 'length' | 'control' | 'surrogate' | undefined {
  // Length first: what follows is paid for by the character.
  if (text.length < 1 || text.length > maxChars) return 'length'
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit <= 0x1f || unit === 0x7f) return 'control'
  }
  return text.isWellFormed() ? undefined : 'surrogate'
}
