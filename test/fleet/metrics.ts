import type { FleetProcess } from './process.ts'

/** The sum of a metric over these processes and all its series whose labels contain `label`; 0 for one that does not answer. */
export async function sumMetric(processes: readonly FleetProcess[], name: string, label = ''): Promise<number> {
  const pages = await Promise.all(processes.map(page))
  let sum = 0
  for (const line of pages.join('\n').split('\n')) {
    const match = /^(\w+)(\{[^}]*\})? (\S+)/.exec(line)
    if (match?.[1] === name && (match[2] ?? '').includes(label)) sum += Number(match[3])
  }
  return sum
}

async function page({ adminPort, running }: FleetProcess): Promise<string> {
  if (!running) return ''
  try {
    const response = await fetch(`http://127.0.0.1:${adminPort}/metrics`, { signal: AbortSignal.timeout(2_000) })
    return await response.text()
  } catch {
    return ''
  }
}
