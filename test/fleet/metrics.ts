import { wait } from '@flotilla/node/backoff'
import type { FleetProcess } from './process.ts'

/** By name and labels, as the page has them. */
type Series = ReadonlyMap<string, number>
/** What is looked at of a process. */
export type Metered = Pick<FleetProcess, 'name' | 'adminPort' | 'running' | 'stopped' | 'pid'>
/** Sums a metric over processes and all its series whose labels contain `label`. */
export type Sum = (processes: readonly Metered[], name: string, label?: string) => Promise<number>

/** As it is now; 0 for a process that does not answer. To wait for something: for evidence there is {@link startMeter}. */
export const sumMetric: Sum = async (processes, name, label = '') => {
  const pages = await Promise.all(processes.map(pageOf))
  return pages.reduce((sum, page) => sum + sumOf(seriesOf(page ?? ''), name, label), 0)
}

/** What a process has counted. */
interface Counted {
  readonly pid: number | undefined
  /** In the life that has this pid. */
  readonly now: Series
  /** In the lives before, as far as they were read. */
  readonly earlier: Series
}

const nothing: Counted = { pid: undefined, now: new Map(), earlier: new Map() }

/**
 * Sums of counters that never go down, for evidence: a process that was killed or stopped counts with what it last said,
 * and what it counts in a later life, which begins at 0, is added. Throws when a process that runs does not answer:
 * 0 instead would make all that it ever counted grow later. Reads these processes at once, so that what it says of one
 * that is stopped is known.
 */
export async function startMeter(processes: readonly Metered[]): Promise<Sum> {
  const known = new Map<Metered, Counted>()
  async function read(process: Metered): Promise<Counted> {
    const before = known.get(process) ?? nothing
    const { pid } = process
    const page = await answerOf(process)
    if (page === undefined) return before
    const earlier = pid === before.pid ? before.earlier : added(before.earlier, before.now)
    const counted = { pid, now: seriesOf(page), earlier }
    known.set(process, counted)
    return counted
  }
  await Promise.all(processes.map(read))
  return async (of, name, label = '') => {
    const all = await Promise.all(of.map(read))
    return all.reduce((sum, { now, earlier }) => sum + sumOf(now, name, label) + sumOf(earlier, name, label), 0)
  }
}

/** How often a process is asked, and how long it is left alone in between, ms. */
const attempts = 5
const betweenMs = 300

/** Undefined when it cannot answer: it is not there, or stopped. */
async function answerOf(process: Metered): Promise<string | undefined> {
  for (let attempt = 1; process.running && !process.stopped; attempt += 1) {
    const page = await pageOf(process)
    if (page !== undefined) return page
    if (attempt === attempts) throw new Error(`could not be judged: ${process.name} did not answer`)
    await wait(betweenMs)
  }
  return undefined
}

async function pageOf({ adminPort, running }: Metered): Promise<string | undefined> {
  if (!running) return undefined
  try {
    const response = await fetch(`http://127.0.0.1:${adminPort}/metrics`, { signal: AbortSignal.timeout(2_000) })
    return await response.text()
  } catch {
    return undefined
  }
}

function seriesOf(page: string): Series {
  const found = new Map<string, number>()
  for (const line of page.split('\n')) {
    const match = /^(\w+(?:\{[^}]*\})?) (\S+)/.exec(line)
    if (match?.[1] !== undefined) found.set(match[1], Number(match[2]))
  }
  return found
}

function sumOf(series: Series, name: string, label: string): number {
  let sum = 0
  for (const [key, value] of series) {
    const [of, labels = ''] = key.split('{', 2)
    if (of === name && labels.includes(label)) sum += value
  }
  return sum
}

function added(a: Series, b: Series): Series {
  const sum = new Map(a)
  for (const [key, value] of b) sum.set(key, (sum.get(key) ?? 0) + value)
  return sum
}
