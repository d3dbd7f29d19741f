import { conflateOf } from '@flotilla/core/event-options'
import type { Item, Subscriber } from './fanout.ts'

/** Conflated events that are kept for a subscriber that reads too slowly, the newest of each key. */
export const maxMissed = 256

/** What a batch is without the events that a later one of it replaces; the same list when there is none. */
export function newest(items: readonly Item[]): readonly Item[] {
  let last: Map<string, Item> | undefined
  let conflated = 0
  for (const item of items) {
    const key = keyOf(item)
    if (key === undefined) continue
    conflated += 1
    last = (last ?? new Map<string, Item>()).set(key, item)
  }
  if (last === undefined || last.size === conflated) return items
  return items.filter((item) => {
    const key = keyOf(item)
    return key === undefined || last?.get(key) === item
  })
}

/** Ephemeral events that are not written to a slow subscriber. Returns how many are not kept for later either. */
export function keepMissed(subscriber: Subscriber, items: readonly Item[]): number {
  let dropped = 0
  for (const item of items) {
    if (item.seq !== undefined) continue
    const key = keyOf(item)
    const missed = subscriber.missed ?? new Map<string, Item>()
    if (key === undefined || (missed.size >= maxMissed && !missed.has(key))) {
      dropped += 1
      continue
    }
    if (missed.has(key)) dropped += 1
    subscriber.missed = missed.set(key, item)
  }
  return dropped
}

/** What the subscriber missed while it was slow, and then these; the older ones of a key are left out. */
export function withMissed(subscriber: Subscriber, items: readonly Item[]): readonly Item[] {
  const { missed } = subscriber
  if (missed === null) return items
  subscriber.missed = null
  return newest([...missed.values(), ...items])
}

function keyOf(item: Item): string | undefined {
  if (item.seq !== undefined || item.event.options === '') return undefined
  return (item.conflate ??= conflateOf(item.event.options) ?? '') || undefined
}
