import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const unpacked = join(root, 'out/tools')

/** The path of `helm`, `k6` or `kubeconform`: on the PATH, or of the toolkit (FLOTILLA_TOOLKIT, or the folder `shared` beside the project). */
export function tool(name: 'helm' | 'k6' | 'kubeconform'): string {
  if (spawnSync(name, ['--help'], { stdio: 'ignore' }).error === undefined) return name
  const own = join(unpacked, name)
  if (existsSync(own)) return own
  const install = join(process.env['FLOTILLA_TOOLKIT'] ?? join(root, '../shared'), 'tools/install')
  if (!existsSync(install)) throw new Error(`${name} is not on the PATH: install it, or set FLOTILLA_TOOLKIT`)
  execFileSync(install, [unpacked])
  return own
}
