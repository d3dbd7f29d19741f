// What may come back.
import { closeCodes, errorCodes } from '@flotilla/core/codes'
import { serverFrame } from '@flotilla/core/frames'
import { tenant } from './frames.mjs'

/** In everything that the witness publishes; in nothing that anybody else may hear. */
export const mark = 'for-the-witness-only'

/** Of WebSocket itself (docs/codes.md): what is no frame, a text that is no UTF-8, too many fragments. */
const protocolCodes = [1002, 1007, 1008]
const known = new Set([...Object.values(closeCodes).map(({ code }) => code), ...protocolCodes])
const keysOf = new Map(
  serverFrame.options.map((option) => [option.shape.type.value, new Set(Object.keys(option.shape))]),
)
const clientKeys = { userId: 'string', timestamp: 'string', connectionId: 'string', id: 'string' }

/** What is wrong with a frame of the server; undefined when nothing is. `seen(kind)` counts it. */
export function faultOf(text, { userId, seen }) {
  let value
  try {
    value = JSON.parse(text)
  } catch {
    return `not JSON: ${text.slice(0, 200)}`
  }
  const parsed = serverFrame.safeParse(value)
  if (!parsed.success) return `not a frame of the protocol: ${text.slice(0, 200)}`
  const strange = Object.keys(value).find((key) => !keysOf.get(value.type).has(key))
  if (strange !== undefined) return `a frame ${value.type} with ${strange}: ${text.slice(0, 200)}`
  if (text.includes(mark)) return `hears what is for the witness: ${text.slice(0, 200)}`
  seen(value.type === 'error' ? value.code : value.type)
  const codes = [value.code, ...(value.rooms ?? []).map(({ error }) => error?.code)].filter(
    (code) => code !== undefined,
  )
  const unknown = codes.find((code) => !Object.hasOwn(errorCodes, code) || code === 'INTERNAL_ERROR')
  if (unknown !== undefined) return `answered ${unknown}: ${text.slice(0, 200)}`
  return value.type === 'event' ? eventFault(value, userId) : undefined
}

function eventFault({ room, meta }, userId) {
  const strange = Object.entries(meta).find(([key, item]) => typeof item !== clientKeys[key])
  if (strange !== undefined) return `an event whose meta has ${strange[0]}`
  if (userId === undefined) return `an event of ${room} before authentication`
  return mayHear(room, userId) ? undefined : `${userId} hears an event of ${room}`
}

/** By the documents, not by the policy's code: whose room it is by its name. */
function mayHear(room, userId) {
  const [type, first, second, ...more] = room.split(':')
  if (more.length > 0 || first === undefined) return false
  if (second !== undefined) return first === tenant && type !== 'user' && type !== 'tenant'
  return type === 'public' || (type === 'user' && first === userId) || (type === 'tenant' && first === tenant)
}

/** `echo`: what the client had closed with itself, if it did. */
export function closeFault(code, echo) {
  return known.has(code) || code === echo || code === 1005 ? undefined : `closed with ${code}`
}
