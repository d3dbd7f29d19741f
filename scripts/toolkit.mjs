// Programs that npm has not: those on the PATH, or those of the toolkit (FLOTILLA_TOOLKIT, or the folder `shared` beside the project).
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
export const toolkit = process.env.FLOTILLA_TOOLKIT ?? join(root, '../shared')
export const isThere = (command) => spawnSync(command, ['--help'], { stdio: 'ignore' }).error === undefined

export function tool(name) {
  if (isThere(name)) return name
  const unpacked = join(root, 'out/tools')
  const path = join(unpacked, name)
  if (existsSync(path)) return path
  const install = join(toolkit, 'tools/install')
  if (!existsSync(install)) throw new Error(`${name} is not on the PATH: install it, or set FLOTILLA_TOOLKIT`)
  execFileSync(install, [unpacked])
  return path
}
