import { expect, it } from 'vitest'
import { errorCodes } from '@flotilla/core/codes'
import packageJson from '../package.json' with { type: 'json' }
import { readCloudEvent } from './cloud-event.ts'
import { openapiDocument } from './openapi.ts'
import { routes, statuses } from './routes.ts'
import type { Route } from './routes.ts'
import { batchRequest, eventRequest } from './schema.ts'

interface Operation {
  readonly responses: Readonly<Record<string, { readonly description: string }>>
  readonly requestBody?: {
    readonly content: Readonly<
      Record<
        'application/json' | 'application/cloudevents+json' | 'application/cloudevents-batch+json',
        { readonly examples: Readonly<Record<string, { readonly value: unknown }>> }
      >
    >
  }
}
const document = openapiDocument(packageJson.version) as {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: {
    readonly schemas: Readonly<Record<string, { readonly oneOf?: unknown; readonly properties?: object }>>
  }
}

it('[IN14] openapi.json is the document of the code; after a wanted change run this test with -u', async () => {
  await expect(`${JSON.stringify(document, null, 2)}\n`).toMatchFileSnapshot('../openapi.json')
})

it('[IN14] every route, method, status and code of the app is in the document, and no other (OP7)', () => {
  const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { responses }]) =>
      Object.entries(responses).flatMap(([status, { description }]) =>
        Number(status) < 400
          ? [`${method} ${path} ${status}`]
          : description.split(', ').map((code) => `${method} ${path} ${status} ${code}`),
      ),
    ),
  )
  const served = Object.values(routes).flatMap((route: Route) => {
    const name = `${route.method} ${route.path.replace(/:(\w+)/g, '{$1}')}`
    const ok = [route.ok, ...(route.okOfBatch === undefined ? [] : [route.okOfBatch])]
    return [
      ...ok.map((status) => `${name} ${status}`),
      ...route.problems.map(([status, code]) => `${name} ${status} ${code}`),
    ]
  })
  expect(documented.toSorted()).toEqual(served.toSorted())
})

it("[IN14] the codes are the fleet's", () => {
  expect(Object.keys(errorCodes)).toEqual(expect.arrayContaining(Object.keys(statuses)))
})

it('[IN14] the examples of requests are taken by the code', () => {
  const examples = (path: string) =>
    Object.values(document.paths[path]?.['post']?.requestBody?.content['application/json'].examples ?? {})
  expect(examples('/v1/events').length).toBeGreaterThan(0)
  for (const { value } of examples('/v1/events')) eventRequest.parse(value)
  for (const { value } of examples('/v1/events/batch')) batchRequest.parse(value)
})

it('[IN14] the examples of CloudEvents are taken by the code, and become events', () => {
  const content = document.paths['/v1/events']?.['post']?.requestBody?.content
  const structured = Object.values(content?.['application/cloudevents+json'].examples ?? {})
  const batched = Object.values(content?.['application/cloudevents-batch+json'].examples ?? {})
  const events = [...structured, ...batched].flatMap(({ value }) => value)
  expect(events.length).toBe(2)
  for (const event of events) {
    const read = readCloudEvent(event)
    eventRequest.parse(read.ok ? read.value : undefined)
  }
})

it('[IN14] the document says that an event has exactly one target', () => {
  const { oneOf, properties } = document.components.schemas['EventRequest'] ?? {}
  const targets = ['room', 'rooms', 'user', 'users', 'tenant', 'all']
  expect(oneOf).toEqual(targets.map((target) => ({ required: [target] })))
  expect(Object.keys(properties ?? {})).toEqual(expect.arrayContaining(targets))
})
