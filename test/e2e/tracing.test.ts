import { createServer } from 'node:http'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { connect } from '@flotilla/client'
import { signToken } from '@flotilla/node/jwt'
import { startRedis } from '@flotilla/node/testing/redis-server'
import { ingestKey, secret, startFleet } from '../fleet/fleet.ts'
import { until } from '../fleet/until.ts'
import { atEnd } from './setting.ts'

interface SentSpan {
  readonly service: string
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly links?: readonly { readonly traceId: string; readonly spanId: string }[]
}
interface Sent {
  readonly resourceSpans: readonly {
    readonly resource: {
      readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue?: string } }[]
    }
    readonly scopeSpans: readonly { readonly spans: readonly Omit<SentSpan, 'service'>[] }[]
  }[]
}

/** What an OTLP/HTTP collector is sent. */
async function startCollector(): Promise<{ url: string; spans: SentSpan[] }> {
  const spans: SentSpan[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      for (const { resource, scopeSpans } of (JSON.parse(Buffer.concat(chunks).toString()) as Sent).resourceSpans) {
        const service = resource.attributes.find(({ key }) => key === 'service.name')?.value.stringValue ?? ''
        for (const each of scopeSpans) for (const span of each.spans) spans.push({ service, ...span })
      }
      response.setHeader('content-type', 'application/json').end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(() => new Promise((resolve) => (server.closeAllConnections(), server.close(() => resolve()))))
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('it does not listen')
  return { url: `http://127.0.0.1:${address.port}/v1/traces`, spans }
}

test('[OT4] one trace goes from who posted an event through ingest and worker to the edge of who hears it, and from a client through its edge (OP5)', async () => {
  const redis = await startRedis({ appendonly: true })
  atEnd(() => redis.close())
  const collector = await startCollector()
  const env = { FLOTILLA_OTLP_URL: collector.url, FLOTILLA_TRACES_PER_MILLION: '0' }
  const all = { FLOTILLA_TRACES_PER_MILLION: '1000000' }
  const options = { redisUrl: redis.url, edges: 2, workers: 1, controls: 1, ingests: 1, env }
  const fleet = await startFleet({ ...options, envOf: { 'edge-2': all, 'control-1': all } })
  atEnd(() => fleet.stop())
  const [first, second] = await Promise.all(
    fleet.edges.map(async ({ port }, i) => {
      const token = signToken({ secret, sub: `user-${i}`, tenant: 'acme', ttlSeconds: 600 })
      const client = await connect({ url: `ws://127.0.0.1:${port}/ws`, token, WebSocket })
      atEnd(() => client.close())
      return client
    }),
  )
  const heard: unknown[] = []
  await first?.subscribe('public:traced', { onEvent: ({ data }) => void heard.push(data) })

  const [traceId, parent] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7']
  const post = (flags: string) =>
    fetch(`http://127.0.0.1:${fleet.ingests[0]?.port}/v1/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ingestKey}`, traceparent: `00-${traceId}-${parent}-${flags}` },
      body: JSON.stringify({ room: 'public:traced', event: 'e', data: flags }),
    })
  expect((await post('00')).status).toBe(202)
  expect((await post('01')).status).toBe(202)
  await second?.publish('public:traced', 'e', 'of a client')
  await until('all was heard', async () => heard.length === 3)
  expect(heard).toEqual(['00', '01', 'of a client'])

  const of = (id: string) => collector.spans.filter((span) => span.traceId === id)
  await until('the trace of the post is whole', async () => of(traceId).length >= 3)
  const byService = (spans: readonly SentSpan[]) => spans.map(({ service, name }) => `${service} ${name}`).toSorted()
  expect(byService(of(traceId))).toEqual(['flotilla-edge deliver', 'flotilla-ingest publish', 'flotilla-shard commit'])
  const publish = of(traceId).find(({ name }) => name === 'publish')
  expect(publish?.parentSpanId).toBe(parent)
  for (const span of of(traceId)) if (span !== publish) expect(span.parentSpanId).toBe(publish?.spanId)

  const own = () => collector.spans.find(({ service, name }) => service === 'flotilla-edge' && name === 'publish')
  await until('the trace of the client is whole', async () => of(own()?.traceId ?? '').length >= 3)
  expect(byService(of(own()?.traceId ?? ''))).toEqual([
    'flotilla-edge deliver',
    'flotilla-edge publish',
    'flotilla-shard commit',
  ])
  const plans = () => collector.spans.filter(({ service, name }) => `${service} ${name}` === 'flotilla-control plan')
  await until('control tells of its plans', async () => plans().length > 0)
  // Control is on no event's way: what a worker commits names the plan by which it does.
  const nameOf = ({ traceId, spanId }: Pick<SentSpan, 'traceId' | 'spanId'>) => `${traceId} ${spanId}`
  for (const { links = [] } of collector.spans.filter(({ name }) => name === 'commit'))
    expect(plans().map(nameOf)).toEqual(expect.arrayContaining(links.map(nameOf).slice(-1)))
  expect(collector.spans.some(({ name, links = [] }) => name === 'commit' && links.length > 0)).toBe(true)
  expect(fleet.complaints()).toEqual([])
})
