import type { Line } from './history.ts'

/** `Omit` over each member of the union by itself. */
type Untimed<T> = T extends Line ? Omit<T, 't'> : never

/** The history of a run under way. */
export interface Recorder {
  readonly lines: readonly Line[]
  /** Messages, not answers: what is published again counts once. */
  readonly acknowledged: number
  note(line: Untimed<Line>): void
}

export function createRecorder(): Recorder {
  const began = performance.now()
  const lines: Line[] = []
  const acknowledged = new Set<string>()
  return {
    lines,
    get acknowledged() {
      return acknowledged.size
    },
    note: (line) => {
      if (line.type === 'ok') acknowledged.add(line.id)
      lines.push({ ...line, t: performance.now() - began })
    },
  }
}
