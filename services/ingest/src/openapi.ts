import { z } from 'zod'
import { cloudEvent } from './cloud-event.ts'
import { batchedType, structuredType } from './cloud-headers.ts'
import { denialAnswer, denialRequest, denialsAnswer } from './denials.ts'
import { maxStreamPage, maxWaitSeconds, streamAnswer } from './outgoing/stream.ts'
import { replayAnswer, replayRequest, webhooksAnswer } from './outgoing/webhook-routes.ts'
import { presenceAnswer } from './presence.ts'
import { routes } from './routes.ts'
import type { Route, RouteName } from './routes.ts'
import {
  batchAnswer,
  batchRequest,
  eventAccepted,
  eventRequest,
  historyAnswer,
  maxBatchEvents,
  maxHistoryPage,
  problemAnswer,
} from './schema.ts'
import { userRoomsAnswer } from './rooms-of-user.ts'
import { userRoomRequest } from './user-rooms.ts'

type Json = Readonly<Record<string, unknown>>

interface Words {
  readonly summary: string
  readonly description: string
  readonly ok: string
  readonly answer: Json
  readonly parameters?: readonly Json[]
  readonly body?: { readonly schema: Json; readonly examples: Json }
  /** Other types of the body, by media type. */
  readonly bodies?: Readonly<Record<string, Json>>
  /** What a batch on it is answered. */
  readonly okOfBatch?: string
  readonly headers?: Json
}

const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` })
const example = (value: unknown): Json => ({ value })
const idempotencyKey: Json = {
  name: 'Idempotency-Key',
  in: 'header',
  description:
    'Names the event when the body has no id; in a batch event i is named `<key>.<i>`. The same key and body are answered as the first time, ' +
    'for 10 minutes and by the same process; with another body 422.',
  schema: { type: 'string', minLength: 1, maxLength: 128 },
}
const signature: Json = {
  name: 'Flotilla-Signature',
  in: 'header',
  description:
    '`t=<seconds since 1970>,v1=<HMAC-SHA256 of t, a dot and the body; hexadecimal>`, for keys with a signing secret. Such a post has no `Idempotency-Key` and no `ce-` headers.',
  schema: { type: 'string' },
}
const postHeaders: Json = {
  RateLimit: { $ref: '#/components/headers/RateLimit' },
  'RateLimit-Policy': { $ref: '#/components/headers/RateLimitPolicy' },
  'Idempotent-Replayed': { $ref: '#/components/headers/IdempotentReplayed' },
}
const headers: Json = {
  RateLimit: {
    description:
      'Of keys with a rate: events left, and seconds until they have come back (draft-ietf-httpapi-ratelimit-headers-10).',
    schema: { type: 'string', examples: ['"events";r=199;t=1'] },
  },
  RateLimitPolicy: {
    description: 'Of keys with a rate: events that may come at once, and seconds in which they come back.',
    schema: { type: 'string', examples: ['"events";q=200;qu="events";w=2'] },
  },
  IdempotentReplayed: {
    description: 'The answer is that of an earlier request with this `Idempotency-Key`; nothing was done.',
    schema: { type: 'string', enum: ['true'] },
  },
}
const userInPath: Json = {
  name: 'user',
  in: 'path',
  required: true,
  description: 'Id of the user.',
  schema: { type: 'string', minLength: 1, maxLength: 195 },
}
const cloudExample = {
  specversion: '1.0',
  id: '77',
  source: '/crm/deals',
  type: 'deal.won',
  flotillaroom: 'deal:acme:7',
  data: { id: 7 },
}
const cloudBatch: Json = {
  schema: { type: 'array', maxItems: maxBatchEvents, items: ref('CloudEvent') },
  examples: { one: example([cloudExample]) },
}

const words: Readonly<Record<RouteName, Words>> = {
  postEvent: {
    summary: 'Post one event',
    description:
      'Answers after the event is committed in every room that it names. OVERLOADED says that nothing was appended. ' +
      'UNKNOWN says that it may be committed in some: repeat it with the same id, and it stays one event. ' +
      'CloudEvents 1.0 are taken in structured, batched and binary mode, the last by `ce-` headers around the data.',
    ok: 'Committed in every room.',
    okOfBatch: 'Of a batch of CloudEvents: one result per event, in their order.',
    answer: ref('EventAccepted'),
    parameters: [idempotencyKey, signature],
    headers: postHeaders,
    bodies: {
      [structuredType]: { schema: ref('CloudEvent'), examples: { room: example(cloudExample) } },
      [batchedType]: cloudBatch,
    },
    body: {
      schema: ref('EventRequest'),
      examples: {
        room: example({ room: 'public:news', event: 'headline', data: { text: 'Hello' } }),
        user: example({ user: 'alice', event: 'invoice.paid', data: { total: 12.5 }, id: 'invoice-77-paid' }),
        filtered: example({
          tenant: 'acme',
          event: 'deal.won',
          data: { id: 7 },
          filter: { region: 'eu' },
          except: ['bob'],
        }),
        ephemeral: example({ all: true, event: 'tick', data: 1, ephemeral: true }),
      },
    },
  },
  postBatch: {
    summary: 'Post up to 500 events',
    description: 'Every event gets its own status. Events for one room are committed in the order of the batch.',
    ok: 'One result per event, in their order: that of a single post, with its status.',
    answer: ref('BatchAnswer'),
    parameters: [idempotencyKey, signature],
    headers: postHeaders,
    bodies: { [batchedType]: cloudBatch },
    body: {
      schema: ref('BatchRequest'),
      examples: {
        two: example({
          events: [
            { room: 'public:news', event: 'a', data: 1 },
            { users: ['alice', 'bob'], event: 'b', data: 2 },
          ],
        }),
      },
    },
  },
  getHistory: {
    summary: 'Read what a room keeps',
    description: 'The newest events, or those after or before a seq, oldest first, as far as the room keeps them.',
    ok: 'A page of events. When `first` is above `after` + 1, what was between them is gone.',
    answer: ref('HistoryPage'),
    parameters: [
      { name: 'room', in: 'path', required: true, schema: { type: 'string', minLength: 1, maxLength: 200 } },
      {
        name: 'after',
        in: 'query',
        description: 'Only events after this seq.',
        schema: { type: 'integer', minimum: 0 },
      },
      {
        name: 'before',
        in: 'query',
        description: 'Only events before this seq, the newest of them.',
        schema: { type: 'integer', minimum: 1 },
      },
      { name: 'limit', in: 'query', schema: { type: 'integer', minimum: 1, maximum: maxHistoryPage, default: 100 } },
    ],
  },
  getPresence: {
    summary: 'Who is in a room',
    description:
      'The users that are subscribed to it, on every edge, where the policy keeps members. Of `user:<id>` it says whether the user is there. ' +
      'Needs the scope `history` of the room.',
    ok: 'Its members.',
    answer: ref('Presence'),
    parameters: [
      { name: 'room', in: 'path', required: true, schema: { type: 'string', minLength: 1, maxLength: 200 } },
      {
        name: 'user',
        in: 'query',
        description: 'Only these users, up to 100.',
        schema: { type: 'array', items: { type: 'string' } },
      },
    ],
  },
  postDenial: {
    summary: 'Kick, ban, or revoke tokens',
    description:
      'Needs the scope `admin`. Holds on every edge within a second; over restarts until it is over or taken back. Open connections are told why and closed, with 4403 or, ' +
      'of revoked tokens, 4401.',
    ok: 'It is kept.',
    answer: ref('Denial'),
    body: {
      schema: ref('DenialRequest'),
      examples: {
        kick: example({ type: 'kick', user: '42' }),
        ban: example({ type: 'ban', tenant: 'acme', seconds: 3_600, reason: 'The invoice is overdue.' }),
        revoke: example({ type: 'revoke', token: '5f0c2b1e' }),
        revokeAll: example({ type: 'revoke', user: '42', issuedBefore: '2026-01-01T00:00:00Z' }),
      },
    },
  },
  getDenials: {
    summary: 'Who is denied the fleet',
    description: 'Needs the scope `admin`. Kicks are among them for a minute.',
    ok: 'All of them.',
    answer: ref('Denials'),
  },
  deleteDenial: {
    summary: 'Take a denial back',
    description: 'Needs the scope `admin`. Within a second it holds nowhere any more.',
    ok: 'It was taken back.',
    answer: { type: 'object', properties: { id: { type: 'string' } }, required: ['id'] },
    parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }],
  },
  getStream: {
    summary: 'Read outgoing events',
    description:
      'Needs the scope `stream`. What the policy asks for of connections, rooms and messages, after a cursor; those of one room in their order. ' +
      'What is read again has the same ids. A gap says what comes after the cursor and is not there any more.',
    ok: 'A page of events, the oldest first, and the cursor to go on with.',
    answer: ref('StreamPage'),
    parameters: [
      {
        name: 'after',
        in: 'query',
        description: 'The cursor `next` of the page before; `oldest`: what is kept; `end`: what comes from now on.',
        schema: { type: 'string', default: 'oldest' },
      },
      { name: 'limit', in: 'query', schema: { type: 'integer', minimum: 1, maximum: maxStreamPage, default: 100 } },
      {
        name: 'wait',
        in: 'query',
        description: `When there is no event, how long to wait for one: seconds, ${maxWaitSeconds} at the most.`,
        schema: { type: 'string', pattern: '^[0-9]{1,2}s?$', default: '0' },
      },
    ],
  },
  getWebhooks: {
    summary: 'How webhooks do',
    description: 'Needs the scope `webhooks`.',
    ok: 'Each webhook of this process, with what it has got and what went wrong.',
    answer: ref('Webhooks'),
  },
  postReplay: {
    summary: 'Send events to a webhook again',
    description:
      'Needs the scope `webhooks`. It goes on from there within two seconds, failures are forgotten, and events after it are sent again with the ids that they had.',
    ok: 'It was kept.',
    answer: ref('Replay'),
    parameters: [{ name: 'name', in: 'path', required: true, schema: { type: 'string' } }],
    body: { schema: ref('ReplayRequest'), examples: { oldest: example({ from: 'oldest' }) } },
  },
  postUserRoom: {
    summary: 'Put a user into a room',
    description:
      'Needs the scope `admin`. Every connection of the user joins the room, whatever else the policy asks; who resumes later does so then. A room that the user is in already stays as it is.',
    ok: 'The event `room.join` is committed in `user:<id>`.',
    answer: ref('EventAccepted'),
    parameters: [userInPath],
    body: {
      schema: ref('UserRoomRequest'),
      examples: { conversation: example({ room: 'conversation:acme:9' }) },
    },
  },
  getUserRooms: {
    summary: 'The rooms of a user',
    description:
      'Needs the scope `admin`. What the user is in now, where the policy keeps members, and what services put it into. Every slot is asked: it is not for every page view.',
    ok: 'Its rooms.',
    answer: ref('UserRooms'),
    parameters: [userInPath],
  },
  deleteUserRoom: {
    summary: 'Take a user out of a room',
    description:
      'Needs the scope `admin`. Every connection of the user leaves the room and is told `unsubscribed` with the code `REMOVED`. Whether it may come back says the policy.',
    ok: 'The event `room.leave` is committed in `user:<id>`.',
    answer: ref('EventAccepted'),
    parameters: [
      userInPath,
      { name: 'room', in: 'path', required: true, schema: { type: 'string', minLength: 1, maxLength: 200 } },
    ],
  },
  getOpenapi: {
    summary: 'This document',
    description: 'Needs no key.',
    ok: 'OpenAPI 3.1.',
    answer: { type: 'object' },
  },
}

/** The OpenAPI 3.1 document of the service; `openapi.json` is its text, held in step by a test. */
export function openapiDocument(version: string): Json {
  const paths: Record<string, Record<string, Json>> = {}
  for (const name of Object.keys(routes) as RouteName[]) {
    const route: Route = routes[name]
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method]: operation(name, route) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Flotilla ingest', version, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    security: [{ key: [] }],
    paths,
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer' } },
      headers,
      schemas: {
        CloudEvent: schemaOf(cloudEvent),
        EventRequest: schemaOf(eventRequest),
        BatchRequest: schemaOf(batchRequest),
        EventAccepted: schemaOf(eventAccepted),
        BatchAnswer: schemaOf(batchAnswer),
        HistoryPage: schemaOf(historyAnswer),
        Presence: schemaOf(presenceAnswer),
        DenialRequest: schemaOf(denialRequest),
        Denial: schemaOf(denialAnswer),
        UserRoomRequest: schemaOf(userRoomRequest),
        UserRooms: schemaOf(userRoomsAnswer),
        Denials: schemaOf(denialsAnswer),
        StreamPage: schemaOf(streamAnswer),
        Webhooks: schemaOf(webhooksAnswer),
        ReplayRequest: schemaOf(replayRequest),
        Replay: schemaOf(replayAnswer),
        Problem: schemaOf(problemAnswer),
      },
    },
  }
}

function operation(name: RouteName, route: Route): Json {
  const { summary, description, ok, answer, parameters, body, bodies, okOfBatch, headers: sent } = words[name]
  const accepted = (text: string, schema: Json): Json => ({
    description: text,
    ...(sent === undefined ? {} : { headers: sent }),
    content: { 'application/json': { schema } },
  })
  return {
    operationId: name,
    summary,
    description,
    ...(route.problems.length === 0 ? { security: [] } : {}),
    ...(parameters === undefined ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': body, ...bodies } } }),
    responses: {
      [route.ok]: accepted(ok, answer),
      ...(route.okOfBatch === undefined ? {} : { [route.okOfBatch]: accepted(okOfBatch ?? ok, ref('BatchAnswer')) }),
      ...problemResponses(route),
    },
  }
}

/** One response per status; the codes it can carry narrow the schema. */
function problemResponses(route: Route): Readonly<Record<string, Json>> {
  const codes = new Map<number, string[]>()
  for (const [status, code] of route.problems) codes.set(status, [...(codes.get(status) ?? []), code])
  const responses: Record<string, Json> = {}
  for (const [status, of] of codes) {
    const schema = { allOf: [ref('Problem'), { properties: { code: { enum: of } } }] }
    responses[status] = { description: of.join(', '), content: { 'application/problem+json': { schema } } }
  }
  return responses
}

function schemaOf(schema: z.ZodType): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input' })
  return rest
}
