import { clientFrame } from './frames.ts'
import type { ClientFrame, RequestId } from './frames.ts'
import { jsonLimits, parseJson } from './json-guard.ts'
import { maxEventChars } from './room-name.ts'
import type { Fault } from './session-state.ts'

/** A `resume` of 1,000 rooms has 4,000 keys before its filters. */
export const frameJsonLimits = { maxDepth: jsonLimits.maxDepth, maxKeys: 20_000 }

const frameTypes: ReadonlySet<unknown> = new Set(clientFrame.options.map((option) => option.shape.type.value))
const messageChars = 300

/** A frame of the documented form, or the error to answer with: it carries the frame's id when that can be told. */
export function parseFrame(
  text: string,
): { readonly ok: true; readonly frame: ClientFrame } | { readonly ok: false; readonly fault: Fault } {
  const parsed = parseJson(text, frameJsonLimits)
  if (!parsed.ok) {
    if (parsed.code === 'BAD_JSON') return refuse({ code: 'BAD_FRAME', message: 'the frame is not JSON text' })
    return refuse({ code: 'UNSAFE_JSON', message: unsafe[parsed.code] })
  }
  const { value } = parsed
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse({ code: 'BAD_FRAME', message: 'a frame is an object with a type' })
  }
  const id = idOf(value)
  if (!('type' in value) || !frameTypes.has(value.type))
    return refuse({ code: 'BAD_FRAME', message: 'the type is not known', id })
  const result = clientFrame.safeParse(value)
  if (result.success) return { ok: true, frame: result.data }
  return refuse({ ...judge(result.error.issues), id, event: eventOf(value) })
}

/** What an error repeats of a frame, so that its client knows what it was. */
export function askedBy(frame: ClientFrame): Pick<Fault, 'id' | 'event'> {
  return { id: frame.id, event: frame.type === 'publish' ? frame.event : undefined }
}

const unsafe = {
  TOO_DEEP: `nested deeper than ${frameJsonLimits.maxDepth}`,
  TOO_MANY_KEYS: `more than ${frameJsonLimits.maxKeys} keys`,
  FORBIDDEN_KEY: 'a key named __proto__, constructor or prototype is not accepted',
} as const

interface Issue {
  readonly code?: string | undefined
  readonly message: string
  readonly path: readonly PropertyKey[]
}

function judge(issues: readonly Issue[]): Fault {
  const [issue] = issues
  if (issue === undefined) return { code: 'VALIDATION_ERROR', message: 'the frame is not of the documented form' }
  if (issue.path.includes('since'))
    return { code: 'BAD_POSITION', message: 'a position is { epoch: text, seq: number }' }
  if (issue.code === 'too_big' && issue.path.length === 1 && issue.path[0] === 'rooms') {
    return { code: 'TOO_MANY_SUBSCRIPTIONS', message: 'a resume names at most 1000 rooms' }
  }
  const path = issue.path.map(String).join('.')
  return {
    code: 'VALIDATION_ERROR',
    message: `${path === '' ? '' : `${path}: `}${issue.message}`.slice(0, messageChars),
  }
}

function idOf(value: object): RequestId | undefined {
  const id = 'id' in value ? value.id : undefined
  if (typeof id === 'number') return Number.isSafeInteger(id) && id >= 0 ? id : undefined
  return typeof id === 'string' && id.length >= 1 && id.length <= 64 ? id : undefined
}

/** Of a publish: repeated only where it could be an event's name. */
function eventOf(value: object): string | undefined {
  const event = 'type' in value && value.type === 'publish' && 'event' in value ? value.event : undefined
  return typeof event === 'string' && event.length >= 1 && event.length <= maxEventChars ? event : undefined
}

function refuse(fault: Fault): { readonly ok: false; readonly fault: Fault } {
  return { ok: false, fault }
}
