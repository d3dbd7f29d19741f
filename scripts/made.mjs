// Files that are made of others: written, or with --check only compared.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'

/** `files`: path within `folder` → text. With --check the process ends with 1 where one differs from what `source` says. */
export function writeMade(files, { folder, source }) {
  const isCheck = process.argv.includes('--check')
  const stale = Object.entries(files).filter(([path, text]) => {
    const at = new URL(path, folder)
    if (textOf(at) === text) return false
    if (!isCheck) {
      mkdirSync(new URL('.', at), { recursive: true })
      writeFileSync(at, text)
    }
    return true
  })
  if (!isCheck || stale.length === 0) return
  process.stderr.write(`not what ${source} says: ${stale.map(([path]) => path).join(', ')}; run: make docs\n`)
  process.exit(1)
}

function textOf(at) {
  try {
    return readFileSync(at, 'utf8')
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    return undefined
  }
}
