import type { Indexed, Violation } from './index-history.ts'

export interface Heal {
  /** From the moment the fault was lifted until each room had acknowledged a publish begun after it; the slowest room. */
  readonly healMs: number | null
  readonly violations: readonly Violation[]
}

/** Every room takes publishes again within `withinMs` after the fault was lifted. */
export function heal({ publishes, faults }: Indexed, withinMs: number): Heal {
  const lifted = faults.findLast((each) => each.phase === 'lifted')
  if (lifted === undefined) return { healMs: null, violations: [] }
  const first = new Map<string, number>()
  const rooms = new Set<string>()
  for (const { room, invokedAt, oks } of publishes.values()) {
    rooms.add(room)
    const ok = oks[0]
    if (ok === undefined || invokedAt < lifted.t) continue
    first.set(room, Math.min(first.get(room) ?? Infinity, ok.t - lifted.t))
  }
  const violations: Violation[] = []
  for (const room of rooms) {
    const ms = first.get(room)
    if (ms === undefined) violations.push({ check: 'heal', detail: `${room} never took a publish after the fault` })
    else if (ms > withinMs)
      violations.push({ check: 'heal', detail: `${room} took publishes only ${Math.round(ms)} ms after the fault` })
  }
  return { healMs: first.size === 0 ? null : Math.round(Math.max(...first.values())), violations }
}
