import type { LossReason } from '@flotilla/core/frames'
import { shown } from './index-history.ts'
import type { Indexed, Violation } from './index-history.ts'

/**
 * What a client is told where the store lost something: that the room lost its continuity, or, when it reads what is gone, that
 * the log does not have it. A position is not `ahead` nor `expired` because of a loss.
 */
const lossReasons: readonly LossReason[] = ['epoch', 'trimmed']

export interface Tellable {
  readonly mayLose: boolean
  readonly mayTell: readonly LossReason[]
}

/** Nobody is told of a loss but for the reasons allowed, those of a loss only once there can be one; and who is told is told why. */
export function told({ views, faults }: Indexed, { mayLose, mayTell }: Tellable): Violation[] {
  const found: Violation[] = []
  const since = faults.find(({ phase }) => phase === 'behind' || phase === 'emptied')?.t ?? Infinity
  for (const { client, room, steps } of views) {
    for (const step of steps) {
      if (step.type !== 'position' || step.recovered) continue
      const what = `${client} ${room} was told of a loss at ${shown(step)} (${step.reason ?? 'no reason'})`
      const { reason } = step
      const isLoss = mayLose && step.t >= since
      const isAllowed = reason !== undefined && (mayTell.includes(reason) || (isLoss && lossReasons.includes(reason)))
      if (!isAllowed) found.push({ check: 'told', detail: what })
    }
  }
  return found
}

export function countTold({ views }: Indexed): number {
  let count = 0
  for (const { steps } of views) for (const step of steps) if (step.type === 'position' && !step.recovered) count += 1
  return count
}
