import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { parseSources, readSources } from './file.ts'
import { sourcesFile } from './schema.ts'

const nats = {
  type: 'nats',
  name: 'agents',
  servers: ['nats://n:4222'],
  stream: 'S',
  durable: 'd',
  map: [{ subject: 'a.{id}', to: { room: 'public:{id}' } }],
}
const parse = (sources: unknown) => parseSources(JSON.stringify({ sources }), 'sources.yaml')

it('[NS1] YAML and JSON are taken, with defaults', () => {
  const yaml = `
sources:
  - type: redis
    name: crm
    url: redis://r:6379
    stream: events
    group: flotilla
    map: [{ subject: events, to: { tenant: '{payload.tenant}' } }]
`
  expect(parseSources(yaml, 'f')).toMatchObject([
    { payloadField: 'data', ordered: true, maxInFlight: 1_000, map: [{ event: '{subject}', data: '{payload}' }] },
  ])
  expect(parse([nats])).toMatchObject([{ ackWaitMs: 10_000 }])
  expect(readSources(null)).toEqual([])
})

it.each([
  ['an unknown key', [{ ...nats, strem: 'x' }], 'sources[0]'],
  ['no target', [{ ...nats, map: [{ subject: 'a', to: {} }] }], 'sources[0].map[0].to: at least one of'],
  [
    'a token that is not there',
    [{ ...nats, map: [{ subject: 'a', to: { rooms: ['public:{id}'] } }] }],
    'sources[0].map[0].to.rooms[0]: {id} is no part of a',
  ],
  ['a bad template', [{ ...nats, map: [{ subject: 'a', to: { room: '{' } }] }], 'sources[0].map[0].to.room: a brace'],
  [
    'a bad subject',
    [{ ...nats, map: [{ subject: 'a..b', to: { room: 'public:a' } }] }],
    'sources[0].map[0].subject: a part',
  ],
  ['a name twice', [nats, nats], 'sources[1].name: another source is named agents'],
  ['a secret that is not there', [{ ...nats, token: { env: 'NOT_SET_ANYWHERE' } }], 'sources[0].token: the variable'],
  ['a secret in the file', [{ ...nats, token: 'hunter2' }], 'sources[0].token'],
  ['an ack wait near the dedupe window', [{ ...nats, ackWaitMs: 120_000 }], 'sources[0].ackWaitMs'],
])('[NS2] %s stops the start, with its place', (_name, sources, place) => {
  expect(() => parse(sources)).toThrow(place)
  expect(() => parse(sources)).not.toThrow('hunter2')
})

it('[NS2] a file that is not there or no YAML is said so', () => {
  expect(() => readSources('/nowhere/sources.yaml')).toThrow('cannot be read (ENOENT)')
  expect(() => parseSources('{', 'f')).toThrow('is no YAML')
})

it('[NS3] sources.schema.json is the schema of the code; after a wanted change run this test with -u', async () => {
  const schema = z.toJSONSchema(sourcesFile, { io: 'input' })
  await expect(`${JSON.stringify(schema, null, 2)}\n`).toMatchFileSnapshot('../../sources.schema.json')
})

it('[NS3] the example of docs/sources.md is taken', () => {
  const page = readFileSync(new URL('../../../../docs/sources.md', import.meta.url), 'utf8')
  const examples = Array.from(page.matchAll(/```yaml\n([^]*?)```/g), ([, text = '']) => text)
  expect(examples.length).toBeGreaterThan(0)
  for (const text of examples) expect(parseSources(text, 'docs/sources.md').length).toBeGreaterThan(0)
})
