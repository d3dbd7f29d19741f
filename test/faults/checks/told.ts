import { shown } from './index-history.ts'
import type { Indexed, Violation } from './index-history.ts'

/** Where the store keeps everything, nobody may be told of a loss; and who is told is told why. */
export function told({ views }: Indexed, mayLose: boolean): Violation[] {
  const found: Violation[] = []
  for (const { client, room, steps } of views) {
    for (const step of steps) {
      if (step.type !== 'position' || step.recovered) continue
      const what = `${client} ${room} was told of a loss at ${shown(step)} (${step.reason ?? 'no reason'})`
      if (!mayLose || step.reason === undefined) found.push({ check: 'told', detail: what })
    }
  }
  return found
}

export function countTold({ views }: Indexed): number {
  let count = 0
  for (const { steps } of views) for (const step of steps) if (step.type === 'position' && !step.recovered) count += 1
  return count
}
