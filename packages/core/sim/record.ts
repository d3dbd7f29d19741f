import type { Acknowledged, History, ViewStep } from './checks.ts'

/** What happens in a run, as it happens. */
export interface Record {
  readonly acknowledged: Acknowledged[]
  readonly refused: { room: string; message: string }[]
  readonly views: Map<string, { client: string; room: string; steps: ViewStep[] }>
  readonly applied: History['applied'][number][]
  published: number
  /** Faults that the run had, for the report. */
  readonly faults: string[]
}

export function createRecord(): Record {
  return { acknowledged: [], refused: [], views: new Map(), applied: [], published: 0, faults: [] }
}

export function see(record: Record, client: string, room: string, step: ViewStep): void {
  const key = `${client} ${room}`
  let view = record.views.get(key)
  if (view === undefined) record.views.set(key, (view = { client, room, steps: [] }))
  view.steps.push(step)
}
