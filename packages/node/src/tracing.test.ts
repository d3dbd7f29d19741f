import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { SpanKind, SpanStatusCode } from '@opentelemetry/api'
import {
  InMemorySpanExporter,
  ParentBasedSampler,
  SimpleSpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { beforeEach, expect, test } from 'vitest'
import { encodeLog } from '@flotilla/core/entry'
import type { Log } from './log.ts'
import { createMemoryStore } from './store/memory.ts'
import type { Store } from './store/port.ts'
import { tracedStore } from './store/traced.ts'
import { withTrace } from './trace-context.ts'
import { createTracing, noTracing, telling, tracingOf } from './tracing.ts'
import type { Tracing } from './tracing.ts'

const [traceId, spanId] = ['0af7651916cd43dd8448eb211c80319c', 'b7ad6b7169203331']
const sampled = `00-${traceId}-${spanId}-01`
let exporter = new InMemorySpanExporter()
beforeEach(() => {
  exporter = new InMemorySpanExporter()
})

/** Of those that come without a parent so many are sampled. */
function tracing(ratio: number): Tracing {
  const provider = new TracerProvider({
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(ratio) }),
    spanProcessors: [new SimpleSpanProcessor({ exporter })],
  })
  return { ...tracingOf(provider.getTracer('test')), close: () => provider.shutdown() }
}
const spans = () => exporter.getFinishedSpans()

test('[OT2] a parent decides whether it is sampled, and without one the process does', () => {
  const none = tracing(0)
  expect(none.begin('publish', { kind: 'producer' })).toBeUndefined()
  expect(none.begin('publish', { kind: 'producer', parent: `00-${traceId}-${spanId}-00` })).toBeUndefined()
  none.begin('publish', { kind: 'producer', parent: sampled })?.end({ a: 1 }, 'unknown')
  expect(spans()).toHaveLength(1)
  expect(spans()[0]).toMatchObject({ name: 'publish', kind: SpanKind.PRODUCER, attributes: { a: 1 } })
  expect(spans()[0]?.spanContext().traceId).toBe(traceId)
  expect(spans()[0]?.parentSpanContext?.spanId).toBe(spanId)
  expect(spans()[0]?.status).toEqual({ code: SpanStatusCode.ERROR, message: 'unknown' })
  expect(tracing(1).begin('publish', { kind: 'producer', parent: `00-${traceId}-${spanId}-00` })).toBeUndefined()
  const own = tracing(1).begin('publish', { kind: 'producer' })
  expect(own?.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
  expect(noTracing.begin('publish', { kind: 'producer', parent: sampled })).toBeUndefined()
})

test.each([
  '',
  'x',
  `ff-${traceId}-${spanId}-01`,
  `00-${'0'.repeat(32)}-${spanId}-01`,
  `00-${traceId}-${'0'.repeat(16)}-01`,
  sampled.toUpperCase(),
])('[OT2] a traceparent that is none, %s, counts as absent', (parent) => {
  tracing(1).begin('publish', { kind: 'producer', parent })?.end()
  expect(spans()[0]?.parentSpanContext).toBeUndefined()
})

const commitOf = (rooms: Readonly<Record<string, string>>) => ({
  slot: 0,
  expect: '',
  value: '',
  logs: Object.entries(rooms).map(([room, options]) => ({
    room,
    lastSeq: 1,
    keepFromSeq: 0,
    body: encodeLog(room, { inc: 1, tag: 1, first: 1, timeMs: 0 }, [['a', 'k', options, '"data":1'].join('\u001f')]),
  })),
  outs: new Map(),
  interest: [],
})
/** A store that answers this to a commit. */
const answering = (commit: Store['slots']['commit']): Store => {
  const store = createMemoryStore({ slots: 2, lanes: 1 })
  return { ...store, slots: { ...store.slots, commit } }
}

test('[OT3] a commit has a span for each traced event in it, with links to the others', async () => {
  const other = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`
  const store = tracedStore(
    answering(async () => ({ run: 'r', statuses: ['ok'], missing: [] })),
    tracing(0),
  )
  await store.slots.commit(0, [commitOf({ a: '', b: withTrace('', sampled), c: withTrace('', other) })], 'r')
  expect(spans().map((span) => span.spanContext().traceId)).toEqual([traceId, '1'.repeat(32)])
  expect(spans().map(({ links }) => links.map(({ context }) => context.traceId))).toEqual([['1'.repeat(32)], [traceId]])
  expect(spans()[0]).toMatchObject({
    name: 'commit',
    attributes: { 'flotilla.slot': 0, 'flotilla.commit.status': 'ok' },
  })
})

test('[OT3] a commit that is refused, or not answered, says so in its spans, and is answered as without', async () => {
  const refused = tracedStore(
    answering(async () => ({ run: 'r', statuses: ['fenced'], missing: [] })),
    tracing(0),
  )
  const commits = [commitOf({ a: withTrace('', sampled) })]
  expect((await refused.slots.commit(0, commits, 'r')).statuses).toEqual(['fenced'])
  const failing = tracedStore(
    answering(() => Promise.reject(new Error('no answer'))),
    tracing(0),
  )
  await expect(failing.slots.commit(0, commits, 'r')).rejects.toThrow('no answer')
  expect(spans().map(({ status }) => status.message)).toEqual(['fenced', 'no answer'])
})

test('[OT5] that spans cannot be sent is said once, and when they can again', () => {
  const said: string[] = []
  const log = { warn: (text: string) => void said.push(text), info: (text: string) => void said.push(text) } as Log
  let code = 0
  const exporter = telling({ export: (_, done) => done({ code }), shutdown: async () => {} }, log)
  const answers: number[] = []
  for (code of [0, 1, 1, 0, 0, 1]) exporter.export([], (result) => answers.push(result.code))
  expect(answers).toEqual([0, 1, 1, 0, 0, 1])
  const [away, back] = ['traces cannot be sent, and are dropped', 'traces are sent again']
  expect(said).toEqual([away, back, away])
})

test('[OT5] a collector that is away holds the end of a process up for less than 10 s, and that is said', async () => {
  const server = createServer(() => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const said: string[] = []
  const log = { warn: (text: string) => void said.push(text), info: () => {} } as unknown as Log
  const options = { service: 'edge', memberId: 'e', version: '0', perMillion: 1_000_000, log } as const
  const silent = await createTracing({ ...options, url: `http://127.0.0.1:${port}/v1/traces` })
  silent.begin('publish', { kind: 'producer' })?.end()
  const beganAt = performance.now()
  await silent.close()
  expect(performance.now() - beganAt).toBeLessThan(10_000)
  expect(said).toEqual(['the last traces could not be sent'])
  server.closeAllConnections()
  server.close()
})
