import type { RoomControl } from './room-control.ts'

/**
 * What the publisher chose for one event, as JSON. `except`: user or connection ids; `match`: attributes for filters; `conflate`: the newest
 * ephemeral event of a room with this text replaces others; `until`: the durable event is not served from then on, ms since 1970.
 */
export interface EventOptions {
  readonly except?: readonly string[]
  readonly match?: Readonly<Record<string, unknown>>
  readonly conflate?: string
  readonly until?: number
  /** Of an event in a user's own room: what that user's connections are to do. Ingest alone sets it. */
  readonly control?: RoomControl
  /** W3C trace context of a sampled event. */
  readonly trace?: string
}

/** How the options of a conflated event begin: it is seen without reading them, and other events cost no more than the look. */
const conflated = '{"conflate":"'

/** What a publisher may choose for an event, besides where it goes. */
export interface Choice {
  readonly except?: readonly string[] | undefined
  readonly match?: Readonly<Record<string, unknown>> | undefined
  /** Ephemeral events: replaces what waits under the same text in the same room. */
  readonly conflate?: string | undefined
  /** Durable events: ms since 1970. */
  readonly until?: number | undefined
}

/** As the streams carry them; `''`: none, as for most events. */
export function writeOptions({ except = [], match, conflate, until }: Choice): string {
  if (except.length === 0 && match === undefined && conflate === undefined && until === undefined) return ''
  return JSON.stringify({
    ...(conflate === undefined ? {} : { conflate }),
    ...(except.length === 0 ? {} : { except }),
    ...(match === undefined ? {} : { match }),
    ...(until === undefined ? {} : { until }),
  })
}

export interface ReadOptions {
  readonly except: readonly string[]
  readonly match: Readonly<Record<string, unknown>> | undefined
  readonly conflate: string | undefined
  readonly until: number | undefined
}
export const noOptions: ReadOptions = { except: [], match: undefined, conflate: undefined, until: undefined }

/**
 * Producers write what can be read. Of others, or of a version to come, an event without options is made: one text may
 * not end every edge.
 */
export function readOptions(text: string): ReadOptions {
  if (text === '') return noOptions
  const { except, match, conflate, until } = parseObject(text) as EventOptions
  return {
    except: Array.isArray(except) ? except : [],
    match: isObject(match) ? match : undefined,
    conflate: typeof conflate === 'string' ? conflate : undefined,
    until: typeof until === 'number' ? until : undefined,
  }
}

/** What an ephemeral event replaces and is replaced by, in its room; undefined: nothing. */
export function conflateOf(options: string): string | undefined {
  return options.startsWith(conflated) ? readOptions(options).conflate : undefined
}

/** Whether the time of a durable event is over (`ttl`), `nowMs` since 1970. */
export function isOver(options: string, nowMs: number): boolean {
  if (!options.includes('"until":')) return false
  const { until } = readOptions(options)
  return until !== undefined && until <= nowMs
}

/** An empty object when the text is of anything else. */
export function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : {}
  } catch {
    return {}
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
