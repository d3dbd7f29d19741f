import { z } from 'zod'
import { routes } from './routes.ts'
import type { Route, RouteName } from './routes.ts'
import {
  batchAnswer,
  batchRequest,
  eventAccepted,
  eventRequest,
  historyAnswer,
  maxHistoryPage,
  problemAnswer,
} from './schema.ts'

type Json = Readonly<Record<string, unknown>>

interface Words {
  readonly summary: string
  readonly description: string
  readonly ok: string
  readonly answer: Json
  readonly parameters?: readonly Json[]
  readonly body?: { readonly schema: Json; readonly examples: Json }
}

const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` })
const example = (value: unknown): Json => ({ value })
const idempotencyKey: Json = {
  name: 'Idempotency-Key',
  in: 'header',
  description: 'Names the event when the body has no id; in a batch event i is named `<key>.<i>`.',
  schema: { type: 'string', minLength: 1, maxLength: 128 },
}

const words: Readonly<Record<RouteName, Words>> = {
  postEvent: {
    summary: 'Post one event',
    description:
      'Answers after the event is committed in every room that it names. OVERLOADED says that nothing was appended. ' +
      'UNKNOWN says that it may be committed in some: repeat it with the same id, and it stays one event.',
    ok: 'Committed in every room.',
    answer: ref('EventAccepted'),
    parameters: [idempotencyKey],
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
    parameters: [idempotencyKey],
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
    description: 'The newest events, or those after a seq, oldest first, as far as the room keeps them.',
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
      { name: 'limit', in: 'query', schema: { type: 'integer', minimum: 1, maximum: maxHistoryPage, default: 100 } },
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
      schemas: {
        EventRequest: schemaOf(eventRequest),
        BatchRequest: schemaOf(batchRequest),
        EventAccepted: schemaOf(eventAccepted),
        BatchAnswer: schemaOf(batchAnswer),
        HistoryPage: schemaOf(historyAnswer),
        Problem: schemaOf(problemAnswer),
      },
    },
  }
}

function operation(name: RouteName, route: Route): Json {
  const { summary, description, ok, answer, parameters, body } = words[name]
  return {
    operationId: name,
    summary,
    description,
    ...(route.problems.length === 0 ? { security: [] } : {}),
    ...(parameters === undefined ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: { required: true, content: { 'application/json': body } } }),
    responses: {
      [route.ok]: { description: ok, content: { 'application/json': { schema: answer } } },
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
