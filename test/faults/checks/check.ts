import type { LossReason } from '@flotilla/core/frames'
import type { Line } from '../history.ts'
import { agreement, singleWriter } from './agreement.ts'
import { heal } from './heal.ts'
import { indexHistory } from './index-history.ts'
import type { Violation } from './index-history.ts'
import { lost } from './lost.ts'
import { abortedRead, honest, order, phantom } from './publishes.ts'
import { countTold, told } from './told.ts'
import { complete, contiguity, duplicate } from './views.ts'

export interface CheckOptions {
  /**
   * Whether the store's own settings allow it to lose what it acknowledged, from the moment on that the history names
   * (`behind`, `emptied`); then losses must be told, else be none.
   */
  readonly mayLose: boolean
  /** Reasons that may be told all the same. With `trimmed` the fault trims logs itself, so they may begin anywhere. */
  readonly mayTell?: readonly LossReason[]
  /** After the fault was lifted, ms. */
  readonly healWithinMs: number
}

export interface Verdict {
  readonly violations: readonly Violation[]
  readonly acknowledged: number
  /** How many of them were published again, and that was acknowledged too. */
  readonly repeated: number
  readonly delivered: number
  readonly unknown: number
  readonly refused: number
  /** Times a client was told of a loss, and acknowledged messages that are gone and were told. */
  readonly told: number
  readonly lostAndTold: number
  readonly healMs: number | null
}

const lostAll = (count: number): Violation => ({
  check: 'lost',
  detail: `${count} acknowledged messages are gone from their logs; that it was told does not excuse it here`,
})

/** All checks over one history; each runs in one pass. */
export function check(lines: readonly Line[], options: CheckOptions): Verdict {
  const history = indexHistory(lines)
  const { mayLose, mayTell = [] } = options
  const losses = lost(history, { mayLose, logsTrimmed: mayTell.includes('trimmed') })
  const healing = heal(history, options.healWithinMs)
  const outcomes = [...history.publishes.values()]
  const count = (type: Line['type']): number => lines.filter((line) => line.type === type).length
  return {
    violations: [
      ...losses.violations,
      ...(mayLose || losses.told === 0 ? [] : [lostAll(losses.told)]),
      ...phantom(history),
      ...duplicate(history),
      ...order(history),
      ...contiguity(history),
      ...complete(history),
      ...agreement(history),
      ...singleWriter(history),
      ...abortedRead(history),
      ...honest(history, mayLose),
      ...told(history, { mayLose, mayTell }),
      ...healing.violations,
    ],
    acknowledged: outcomes.filter(({ oks }) => oks.length > 0).length,
    repeated: outcomes.filter(({ repeats, oks }) => repeats > 0 && oks.length > 1).length,
    delivered: count('deliver'),
    unknown: count('unknown'),
    refused: count('refused'),
    told: countTold(history),
    lostAndTold: losses.told,
    healMs: healing.healMs,
  }
}
