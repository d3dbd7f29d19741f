// Which core a process runs on. Figures per core need servers and load kept apart: the kernel would spread them by chance.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** The cores this process may use, as the kernel writes them: "0-1,4". */
function allowedCores() {
  try {
    const list = /Cpus_allowed_list:\s*(\S+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? ''
    return list.split(',').flatMap((part) => {
      const [from = 0, to = from] = part.split('-').map(Number)
      return Array.from({ length: to - from + 1 }, (_, i) => from + i)
    })
  } catch {
    return []
  }
}

const [first, second] = allowedCores()
/** Whether servers and load can be given a core each. */
export const canPin = second !== undefined && spawnSync('taskset', ['-V']).status === 0

/** `servers` and `load`: a core each. `free`: both, wherever the kernel puts it. */
const places = { servers: String(first), load: String(second), free: `${first},${second}` }

/** What stands in front of a command so that it runs there. */
export const onCore = (place) => (canPin ? ['taskset', '-c', places[place]] : [])

/** This process belongs to the load; what it starts says for itself where it runs. */
export function stayWithLoad() {
  if (canPin) spawnSync('taskset', ['-acp', places.load, String(process.pid)])
}
