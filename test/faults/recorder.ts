import type { Line } from './history.ts'

/** `Omit` over each member of the union by itself. */
type Untimed<T> = T extends Line ? Omit<T, 't'> : never

/** The history of a run under way. */
export interface Recorder {
  readonly lines: readonly Line[]
  readonly acknowledged: number
  note(line: Untimed<Line>): void
}

export function createRecorder(): Recorder {
  const began = performance.now()
  const lines: Line[] = []
  let acknowledged = 0
  return {
    lines,
    get acknowledged() {
      return acknowledged
    },
    note: (line) => {
      if (line.type === 'ok') acknowledged += 1
      lines.push({ ...line, t: performance.now() - began })
    },
  }
}
