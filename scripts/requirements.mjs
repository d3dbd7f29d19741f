// Writes the tests of each row of docs/requirements.md: the files with titles that end with its id in parentheses, `… (RM6)`.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const page = join(root, 'docs/requirements.md')
const notOurs = new Set(['node_modules', 'dist', 'out'])

function testsIn(folder) {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`
    if (entry.isDirectory()) return notOurs.has(entry.name) ? [] : testsIn(path)
    return /\.test\.(ts|mjs)$/.test(path) ? [path] : []
  })
}

const byName = (a, b) => (a < b ? -1 : 1)
const filesOf = new Map()
for (const path of ['packages', 'services', 'test', 'loadtests'].flatMap(testsIn).toSorted(byName))
  for (const [ids] of readFileSync(join(root, path), 'utf8').matchAll(
    /(?<= \()[A-Z]{2}\d+(?:, [A-Z]{2}\d+)*(?=\)['"`])/g,
  ))
    for (const id of ids.split(', ')) filesOf.set(id, new Set(filesOf.get(id)).add(path))

const text = readFileSync(page, 'utf8').replaceAll(/^(\| ([A-Z]{2}\d+) \|.*\|) [^|]*\|$/gm, (_line, row, id) => {
  const files = Array.from(filesOf.get(id) ?? [], (path) => `\`${path}\``)
  return files.length === 0 ? `${row} |` : `${row} ${files.join(', ')} |`
})
writeFileSync(page, text)
