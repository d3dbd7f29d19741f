import { describe, expect, test } from 'vitest'
import { createTicker } from './ticker.ts'

interface Subscriber {
  queued: boolean
  waiting: string[]
  readonly writes: string[][]
}

/** A room whose events reach every subscriber; writing to each takes so long. */
function roomOf(size: number, writeMs: number) {
  const subscribers: Subscriber[] = Array.from({ length: size }, () => ({ queued: false, waiting: [], writes: [] }))
  const room = { turn: 0, events: [] as string[] }
  const ticker = createTicker<typeof room, Subscriber>({
    flushRoom: ({ events }) => {
      const batch = events.splice(0)
      for (const each of subscribers) {
        each.waiting.push(...batch)
        ticker.connection(each)
      }
    },
    flushConnection: (each) => {
      const untilMs = performance.now() + writeMs
      while (performance.now() < untilMs);
      each.writes.push(each.waiting.splice(0))
      return true
    },
    onWrites: () => {},
  })
  const publish = (event: string): void => {
    ticker.turn()
    room.events.push(event)
    ticker.room(room, size)
  }
  return { subscribers, publish }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a tick that takes long', () => {
  test('[TK5] lets the event loop turn, and takes what comes meanwhile to those that it has not reached', async () => {
    const { subscribers, publish } = roomOf(256, 0.3)
    publish('a')
    while (subscribers[0]?.writes.length === 0) await nextTurn()
    const reached = subscribers.filter(({ writes }) => writes.length > 0).length
    expect(reached).toBeLessThan(256)
    publish('b')
    while (subscribers.some(({ writes }) => writes.flat().length < 2)) await nextTurn()
    expect(subscribers.slice(0, reached).every(({ writes }) => writes.length === 2)).toBe(true)
    expect(subscribers.slice(reached).every(({ writes }) => writes.length === 1)).toBe(true)
    for (const { writes } of subscribers) expect(writes.flat()).toEqual(['a', 'b'])
  })
})
