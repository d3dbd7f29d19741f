import { afterEach } from 'vitest'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { createIntake } from '../src/sources/intake.ts'
import { sourceMetrics } from '../src/sources/metrics.ts'
import { parseSources } from '../src/sources/file.ts'
import { runSource } from '../src/sources/session.ts'
import type { RunSession, SourceRun } from '../src/sources/session.ts'
import type { Source } from '../src/sources/schema.ts'
import { listEndpoint } from './harness.ts'

type List = ReturnType<typeof listEndpoint>
export interface StartedSource extends SourceRun {
  readonly rooms: List['rooms']
  readonly outcomes: List['outcomes']
  readonly fault: List['fault']
  /** Messages of the log, with their fields. */
  readonly lines: readonly string[]
  metric(name: string): Promise<number>
}

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

/** Whatever a test starts ends with it, also when it fails. */
export function atEnd(cleanup: () => Promise<void> | void): void {
  cleanups.push(cleanup)
}

/** A source over an endpoint that is a list; `list` is that of an earlier one, to go on with. */
export function startSource(
  settings: object,
  sessionOf: (source: Source) => RunSession,
  list = listEndpoint(),
): StartedSource {
  const [source] = parseSources(JSON.stringify({ sources: [settings] }), 'the test')
  if (source === undefined) throw new Error('no source')
  const lines: string[] = []
  const log = createLog({ service: 'ingest', level: 'info', destination: { write: (line) => void lines.push(line) } })
  const registry = createMetrics({ service: 'ingest' })
  const metrics = sourceMetrics(registry)
  const intake = createIntake(source, { endpoint: list.endpoint, log, metrics })
  const run = sessionOf(source)
  const started = runSource({ source, run, intake, log, metrics, memberId: 'ingest-1', isMine: () => true })
  // What an endpoint holds back it would hold for ever.
  atEnd(() => {
    list.fault.hold = null
    return started.close()
  })
  return {
    ...list,
    lines,
    close: started.close,
    metric: async (name) => {
      const { body } = await registry.render()
      const series = body.split('\n').filter((line) => line.startsWith(`flotilla_ingest_source_${name}{`))
      return series.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
    },
  }
}
