import { decodeLog } from '@flotilla/core/entry'

/** The trace that a sampled event belongs to stands in its options: `{"except":["alice"],"trace":"00-…-…-01"}`. */
const mark = '"trace":"'
const traceparentChars = 55

/** The options of an event, with its trace. */
export function withTrace(options: string, traceparent: string): string {
  return options.length <= 2 ? `{${mark}${traceparent}"}` : `${options.slice(0, -1)},${mark}${traceparent}"}`
}

/** Undefined: none. */
export function traceIn(options: string): string | undefined {
  // Written last: what a publisher chose before it cannot be taken for it.
  const at = options.length - traceparentChars - mark.length - 2
  if (at < 1 || !options.startsWith(mark, at) || !options.endsWith('"}')) return undefined
  return options.slice(at + mark.length, -2)
}

/** Traces of the events in an entry of a room's log. */
export function tracesInLog(body: string): readonly string[] {
  // Almost no entry has one, and a text that only looks so costs no more than this look.
  if (!body.includes(mark)) return []
  return (decodeLog(body)?.messages ?? []).flatMap(({ options }) => traceIn(options) ?? [])
}
