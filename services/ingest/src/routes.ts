import type { ErrorCode } from '@flotilla/core/codes'

/** A body that is larger is refused without being kept, bytes. */
export const maxBodyBytes = 1_048_576

type ProblemAnswer = readonly [status: number, code: ErrorCode]
export interface Route {
  readonly method: 'get' | 'post'
  /** As express writes it. */
  readonly path: string
  readonly ok: number
  /** Every problem the route can answer with. */
  readonly problems: readonly ProblemAnswer[]
}

/** The status each problem of this service has. */
export const statuses = {
  VALIDATION_ERROR: 400,
  UNSAFE_JSON: 400,
  INVALID_ROOM: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  PAYLOAD_TOO_LARGE: 413,
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

/** The service's public surface. The app is built from it, and so is the OpenAPI document. */
export const routes = {
  postEvent: {
    method: 'post',
    path: '/v1/events',
    ok: 202,
    problems: [
      ...reading,
      ...problems(
        'UNSAFE_JSON',
        'INVALID_ROOM',
        'FORBIDDEN',
        'PAYLOAD_TOO_LARGE',
        'RATE_LIMITED',
        'OVERLOADED',
        'UNKNOWN',
      ),
      unsupportedEncoding,
    ],
  },
  postBatch: {
    method: 'post',
    path: '/v1/events/batch',
    ok: 200,
    problems: [...reading, ...problems('UNSAFE_JSON', 'PAYLOAD_TOO_LARGE'), unsupportedEncoding],
  },
  getHistory: {
    method: 'get',
    path: '/v1/rooms/:room/history',
    ok: 200,
    problems: [...reading, ...problems('INVALID_ROOM', 'OVERLOADED')],
  },
  getOpenapi: { method: 'get', path: '/openapi.json', ok: 200, problems: [] },
} as const satisfies Record<string, Route>
export type RouteName = keyof typeof routes
