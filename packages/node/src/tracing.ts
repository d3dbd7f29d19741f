import { ROOT_CONTEXT, SpanKind, SpanStatusCode, isSpanContextValid, trace } from '@opentelemetry/api'
import type { Attributes, SpanContext, Tracer } from '@opentelemetry/api'
import type { SpanExporter } from '@opentelemetry/sdk-trace'
import { wait } from './backoff.ts'
import type { Log } from './log.ts'
import type { Scope } from './scope.ts'

/** What a process does for an event, or for many of them. */
export interface Span {
  /** W3C trace context of this span, as others are to name it. */
  readonly traceparent: string
  /** `failed`: why it did not do what it was for. */
  end(attributes?: Attributes, failed?: string): void
}
export interface SpanOptions {
  readonly kind: 'producer' | 'client' | 'consumer' | 'internal'
  /** The `traceparent` of what this is a part of: it decides whether it is sampled. Without it the process does. */
  readonly parent?: string | undefined
  /** Others that this was done for too. */
  readonly links?: readonly string[]
  readonly attributes?: Attributes
  readonly startMs?: number
}

/**
 * Traces of one process. The context of a sampled event travels with it, in its options (trace-context.ts): whoever meets it there goes on
 * with the same trace.
 */
export interface Tracing {
  /** False: nothing is sampled, and nobody needs to look for what carries a trace. */
  readonly on: boolean
  /** Undefined: not sampled. */
  begin(name: string, options: SpanOptions): Span | undefined
  /** Sends what was not sent yet. */
  close(): Promise<void>
}

export const noTracing: Tracing = { on: false, begin: () => undefined, close: async () => {} }

export interface TracingOptions {
  /** `edge`, `shard`, `control` or `ingest`. */
  readonly service: string
  readonly memberId: string
  readonly version: string
  /** Of an OTLP/HTTP collector, as `http://collector:4318/v1/traces`; null: no tracing. */
  readonly url: string | null
  /** Of a million events that come without a trace of their own, so many are sampled. */
  readonly perMillion: number
  readonly log: Log
}

const kinds = {
  producer: SpanKind.PRODUCER,
  client: SpanKind.CLIENT,
  consumer: SpanKind.CONSUMER,
  internal: SpanKind.INTERNAL,
}
/** Spans that wait to be sent; beyond them they are dropped. */
const maxQueue = 8_192
const sendEveryMs = 1_000
const closeMs = 3_000

/** The SDK is loaded where tracing is on only. */
export async function createTracing(options: TracingOptions): Promise<Tracing> {
  const { url, service, memberId, version, perMillion, log } = options
  if (url === null) return noTracing
  const [sdk, { OTLPTraceExporter }, { resourceFromAttributes }] = await Promise.all([
    import('@opentelemetry/sdk-trace'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ])
  const { BatchSpanProcessor, ParentBasedSampler, TraceIdRatioBasedSampler, TracerProvider } = sdk
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.namespace': 'flotilla',
      'service.name': `flotilla-${service}`,
      'service.instance.id': memberId,
      'service.version': version,
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(perMillion / 1_000_000) }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: telling(new OTLPTraceExporter({ url }), log),
        maxQueueSize: maxQueue,
        scheduledDelayMillis: sendEveryMs,
      }),
    ],
  })
  log.info('traces are sent', { url, perMillion })
  return {
    ...tracingOf(provider.getTracer('flotilla', version)),
    close: async () => {
      // A collector that is away must not hold up the end of a process, nor may this wait when there is none.
      const over = new AbortController()
      const late = wait(closeMs, over.signal).then(() => {
        throw new Error(`not within ${closeMs} ms`)
      })
      await Promise.race([provider.shutdown(), late])
        .catch((error: unknown) => log.warn('the last traces could not be sent', { err: error }))
        .finally(() => over.abort())
    },
  }
}

/** Says once that spans cannot be sent, which are lost then, and when they can again: the SDK keeps that to itself. */
export function telling(exporter: SpanExporter, log: Log): SpanExporter {
  let failing = false
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        const failed = result.code !== 0
        if (failed && !failing) log.warn('traces cannot be sent, and are dropped', { err: result.error })
        if (!failed && failing) log.info('traces are sent again')
        failing = failed
        done(result)
      }),
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  }
}

interface Opening {
  readonly config: { readonly otlpUrl: string | null; readonly tracesPerMillion: number }
  readonly memberId: string
  readonly version: string
  readonly log: Log
  readonly scope: Scope
}

/** As a service's settings say; ends with the scope. */
export async function openTracing(service: TracingOptions['service'], opening: Opening): Promise<Tracing> {
  const { config, memberId, version, log, scope } = opening
  const { otlpUrl: url, tracesPerMillion: perMillion } = config
  const tracing = await createTracing({ service, memberId, version, url, perMillion, log })
  scope.defer(() => tracing.close())
  return tracing
}

/** Spans of this tracer. */
export function tracingOf(tracer: Tracer): Pick<Tracing, 'on' | 'begin'> {
  return {
    on: true,
    begin: (name, { kind, parent, links = [], attributes = {}, startMs }) => {
      const context = parent === undefined ? undefined : parseTraceparent(parent)
      const span = tracer.startSpan(
        name,
        {
          kind: kinds[kind],
          attributes,
          links: links.flatMap((each) => {
            const linked = parseTraceparent(each)
            return linked === undefined ? [] : [{ context: linked }]
          }),
          ...(startMs === undefined ? {} : { startTime: startMs }),
        },
        context === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, context),
      )
      if (!span.isRecording()) return undefined
      return {
        traceparent: formatTraceparent(span.spanContext()),
        end: (more = {}, failed) => {
          span.setAttributes(more)
          if (failed !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: failed })
          span.end()
        },
      }
    },
  }
}

/** Version 00 of https://www.w3.org/TR/trace-context/; a later one begins with the same fields. */
const traceparentForm = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-|$)/

function parseTraceparent(text: string): SpanContext | undefined {
  const [, traceId = '', spanId = '', flags = '00'] = traceparentForm.exec(text) ?? []
  const context = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true }
  return isSpanContextValid(context) && !text.startsWith('ff') ? context : undefined
}

const formatTraceparent = ({ traceId, spanId, traceFlags }: SpanContext): string =>
  `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
