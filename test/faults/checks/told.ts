import type { LossReason } from '@flotilla/core/frames'
import { shown } from './index-history.ts'
import type { Indexed, Violation } from './index-history.ts'

/** Where the store keeps everything, nobody is told of a loss but for the reasons allowed; and who is told is told why. */
export function told({ views }: Indexed, mayTell: readonly LossReason[] | 'any'): Violation[] {
  const found: Violation[] = []
  for (const { client, room, steps } of views) {
    for (const step of steps) {
      if (step.type !== 'position' || step.recovered) continue
      const what = `${client} ${room} was told of a loss at ${shown(step)} (${step.reason ?? 'no reason'})`
      const allowed = step.reason !== undefined && (mayTell === 'any' || mayTell.includes(step.reason))
      if (!allowed) found.push({ check: 'told', detail: what })
    }
  }
  return found
}

export function countTold({ views }: Indexed): number {
  let count = 0
  for (const { steps } of views) for (const step of steps) if (step.type === 'position' && !step.recovered) count += 1
  return count
}
