import { performance } from 'node:perf_hooks'
import type { OutEvent } from '@flotilla/core/entry'
import { conflateEveryMs } from '@flotilla/core/limits'
import { createShaper, isAtRest, release, shape } from '@flotilla/core/shaper'
import type { Scope } from './scope.ts'

export interface EphemeralsOptions {
  readonly scope: Scope
  /** Budget of a room, events per second. */
  perSecond(room: string): number
  send(room: string, event: OutEvent): void
  /** An event does not go on: there were too many of its room, or a newer one goes in its place. */
  counted(reason: 'budget' | 'conflated'): void
}

/** Ephemeral events on their way to the producers, as many as their rooms may have; there is a timer only while something waits. */
export function createEphemerals({ scope, perSecond, send, counted }: EphemeralsOptions) {
  const shaper = createShaper()
  let planned = false

  function plan(): void {
    if (planned || isAtRest(shaper)) return
    planned = true
    scope.after(conflateEveryMs, () => {
      planned = false
      for (const { room, event } of release(shaper, performance.now())) send(room, event)
      plan()
    })
  }

  return (room: string, event: OutEvent): void => {
    const shaped = shape(shaper, { room, event, perSecond: perSecond(room) }, performance.now())
    if (shaped === 'send') send(room, event)
    else if (shaped !== 'hold') counted(shaped === 'drop' ? 'budget' : 'conflated')
    plan()
  }
}
