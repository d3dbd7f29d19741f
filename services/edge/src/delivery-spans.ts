import { traceIn } from '@flotilla/node/trace-context'
import type { Span, Tracing } from '@flotilla/node/tracing'
import type { Item } from './fanout.ts'

const none: readonly Span[] = []

/** A span for each traced event of a batch, which is written to the sockets of this edge. */
export function beginDeliveries(tracing: Tracing, room: string, items: readonly Item[]): readonly Span[] {
  if (!tracing.on) return none
  return items.flatMap(({ event }) => {
    const parent = event.options === '' ? undefined : traceIn(event.options)
    if (parent === undefined) return []
    const attributes = { 'flotilla.room.type': room.split(':', 1)[0] ?? '', 'flotilla.batch.events': items.length }
    return tracing.begin('deliver', { kind: 'consumer', parent, attributes }) ?? []
  })
}
