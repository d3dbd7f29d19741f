import type { ErrorCode } from '@flotilla/core/codes'

/** A body that is larger is refused without being kept, bytes. */
export const maxBodyBytes = 1_048_576

type ProblemAnswer = readonly [status: number, code: ErrorCode]
export interface Route {
  readonly method: 'get' | 'post' | 'delete'
  /** As express writes it. */
  readonly path: string
  readonly ok: number
  /** Where it answers a batch otherwise than a single event. */
  readonly okOfBatch?: number
  /** Every problem the route can answer with. */
  readonly problems: readonly ProblemAnswer[]
}

/** The status each problem of this service has. */
export const statuses = {
  VALIDATION_ERROR: 400,
  UNSAFE_JSON: 400,
  INVALID_ROOM: 400,
  UNKNOWN_ROOM_TYPE: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  PAYLOAD_TOO_LARGE: 413,
  NOT_FOUND: 404,
  UNSUPPORTED_MEDIA_TYPE: 415,
  IDEMPOTENCY_KEY_IN_USE: 409,
  IDEMPOTENCY_KEY_REUSED: 422,
  RATE_LIMITED: 429,
  OVERLOADED: 503,
  UNKNOWN: 503,
  INTERNAL_ERROR: 500,
} as const satisfies Partial<Record<ErrorCode, number>>
export type IngestCode = keyof typeof statuses

/** A code that a newer worker may refuse with and this version does not know is a fault as far as this one can tell. */
export function knownCode(code: string): IngestCode {
  return code in statuses ? (code as IngestCode) : 'INTERNAL_ERROR'
}

const problems = (...codes: readonly IngestCode[]): readonly ProblemAnswer[] =>
  codes.map((code) => [statuses[code], code])
const reading = problems('VALIDATION_ERROR', 'UNAUTHORIZED', 'INTERNAL_ERROR')
const unsupportedEncoding: ProblemAnswer = [415, 'VALIDATION_ERROR']
const posting: readonly ProblemAnswer[] = [
  ...reading,
  ...problems(
    'UNSAFE_JSON',
    'PAYLOAD_TOO_LARGE',
    'UNSUPPORTED_MEDIA_TYPE',
    'IDEMPOTENCY_KEY_IN_USE',
    'IDEMPOTENCY_KEY_REUSED',
    'RATE_LIMITED',
  ),
  unsupportedEncoding,
]

const administering = problems('UNAUTHORIZED', 'FORBIDDEN', 'OVERLOADED', 'UNKNOWN', 'INTERNAL_ERROR')

const moving: readonly ProblemAnswer[] = [
  ...administering,
  ...problems('VALIDATION_ERROR', 'INVALID_ROOM', 'UNSAFE_JSON', 'PAYLOAD_TOO_LARGE'),
  unsupportedEncoding,
]

/** The service's public surface. The app is built from it, and so is the OpenAPI document. */
export const routes = {
  postEvent: {
    method: 'post',
    path: '/v1/events',
    ok: 202,
    okOfBatch: 200,
    problems: [...posting, ...problems('INVALID_ROOM', 'UNKNOWN_ROOM_TYPE', 'FORBIDDEN', 'OVERLOADED', 'UNKNOWN')],
  },
  postBatch: {
    method: 'post',
    path: '/v1/events/batch',
    ok: 200,
    problems: posting,
  },
  getHistory: {
    method: 'get',
    path: '/v1/rooms/:room/history',
    ok: 200,
    problems: [...reading, ...problems('INVALID_ROOM', 'FORBIDDEN', 'OVERLOADED')],
  },
  getPresence: {
    method: 'get',
    path: '/v1/rooms/:room/presence',
    ok: 200,
    problems: [...reading, ...problems('INVALID_ROOM', 'FORBIDDEN', 'NOT_FOUND', 'OVERLOADED')],
  },
  postDenial: {
    method: 'post',
    path: '/v1/denials',
    ok: 201,
    problems: [
      ...reading,
      ...problems('UNSAFE_JSON', 'FORBIDDEN', 'PAYLOAD_TOO_LARGE', 'OVERLOADED', 'UNKNOWN'),
      unsupportedEncoding,
    ],
  },
  getDenials: { method: 'get', path: '/v1/denials', ok: 200, problems: administering },
  deleteDenial: {
    method: 'delete',
    path: '/v1/denials/:id',
    ok: 200,
    problems: [...administering, ...problems('NOT_FOUND')],
  },
  getStream: {
    method: 'get',
    path: '/v1/stream',
    ok: 200,
    problems: [...reading, ...problems('FORBIDDEN', 'OVERLOADED')],
  },
  getWebhooks: {
    method: 'get',
    path: '/v1/webhooks',
    ok: 200,
    problems: problems('UNAUTHORIZED', 'FORBIDDEN', 'OVERLOADED', 'INTERNAL_ERROR'),
  },
  postReplay: {
    method: 'post',
    path: '/v1/webhooks/:name/replay',
    ok: 200,
    problems: [
      ...reading,
      ...problems('UNSAFE_JSON', 'FORBIDDEN', 'NOT_FOUND', 'PAYLOAD_TOO_LARGE', 'OVERLOADED', 'UNKNOWN'),
      unsupportedEncoding,
    ],
  },
  postUserRoom: { method: 'post', path: '/v1/users/:user/rooms', ok: 202, problems: moving },
  getUserRooms: {
    method: 'get',
    path: '/v1/users/:user/rooms',
    ok: 200,
    problems: [...reading, ...problems('FORBIDDEN', 'OVERLOADED')],
  },
  deleteUserRoom: {
    method: 'delete',
    path: '/v1/users/:user/rooms/:room',
    ok: 202,
    problems: [...administering, ...problems('VALIDATION_ERROR', 'INVALID_ROOM')],
  },
  getOpenapi: { method: 'get', path: '/openapi.json', ok: 200, problems: [] },
} as const satisfies Record<string, Route>
export type RouteName = keyof typeof routes
