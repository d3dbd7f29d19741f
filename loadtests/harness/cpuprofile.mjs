// Reads a .cpuprofile: where the time went, by function, in the sources' own lines.
import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const maps = new Map()

function mapOf(file) {
  if (!maps.has(file)) {
    try {
      maps.set(file, new SourceMap(JSON.parse(readFileSync(`${file}.map`, 'utf8'))))
    } catch {
      maps.set(file, null)
    }
  }
  return maps.get(file)
}

/** The place in the sources: `services/edge/src/hub.ts:120`; dependencies by their package, Node's own as it names them. */
export function placeOf({ url, lineNumber, columnNumber }) {
  if (!url.startsWith('file:')) return url === '' ? '(native)' : `${url}:${lineNumber + 1}`
  const file = fileURLToPath(url)
  const line = mapOf(file)?.findEntry(lineNumber, columnNumber)?.originalLine ?? lineNumber
  const path = relative(root, file).replace(/^.*node_modules\//, '')
  return `${mapOf(file) === null ? path : path.replace('/dist/', '/src/').replace(/\.js$/, '.ts')}:${line + 1}`
}

/** What a function counts as besides itself. */
function kindOf({ functionName, url }) {
  if (functionName === '(garbage collector)') return 'gc'
  if (functionName === '(idle)') return 'idle'
  if (functionName === '(program)') return 'program'
  if (url === '') return 'native'
  if (url.startsWith('node:')) return 'node'
  return url.includes('/node_modules/') && !url.includes('/node_modules/@flotilla/') ? 'dependencies' : 'own'
}

/** The profiler's own part: it is asked over the inspector, from within. */
const isProfiler = ({ functionName, url }) => (functionName === 'dispatch' && url === '') || url === 'node:inspector'

/**
 * `shares` of the busy time by kind (idle: of all the time) and the functions with the most self time. `native`: functions of
 * the runtime in C++, system calls of theirs included; `program`: in the runtime, outside of any JavaScript.
 */
export function readProfile(file) {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8'))
  const byId = new Map(nodes.map((node) => [node.id, node.callFrame]))
  const functions = new Map()
  const kinds = { own: 0, dependencies: 0, node: 0, native: 0, program: 0, gc: 0, idle: 0 }
  let total = 0
  samples.forEach((id, i) => {
    const us = Math.max(0, timeDeltas[i] ?? 0)
    const frame = byId.get(id)
    if (isProfiler(frame)) return
    total += us
    kinds[kindOf(frame)] += us
    const key = `${frame.functionName} ${frame.url}:${frame.lineNumber}:${frame.columnNumber}`
    const known = functions.get(key) ?? { frame, us: 0 }
    known.us += us
    functions.set(key, known)
  })
  const busy = total - kinds.idle
  const shares = Object.fromEntries(
    Object.entries(kinds).map(([kind, us]) => [kind, us / (kind === 'idle' ? total : busy)]),
  )
  const top = [...functions.values()]
    .filter(({ frame }) => frame.functionName !== '(idle)')
    .toSorted((a, b) => b.us - a.us)
    .map(({ frame, us }) => ({ name: frame.functionName || '(anonymous)', place: placeOf(frame), share: us / busy }))
  return { seconds: total / 1e6, shares, top }
}
