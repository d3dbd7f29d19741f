// Programs that npm has not: those on the PATH, or those of the toolkit (FLOTILLA_TOOLKIT, or the folder `shared` beside the project).
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
export const toolkit = process.env.FLOTILLA_TOOLKIT ?? join(root, '../shared')
export const isThere = (command) => spawnSync(command, ['--help'], { stdio: 'ignore' }).error === undefined

/** Where to get each, for who has no toolkit. */
const sources = {
  helm: 'Helm 4 (https://helm.sh/docs/intro/install/, or: go install helm.sh/helm/v4/cmd/helm@latest)',
  kubeconform:
    'kubeconform (https://github.com/yannh/kubeconform, or: go install github.com/yannh/kubeconform/cmd/kubeconform@latest)',
  k6: 'k6 1.6 or newer (https://grafana.com/docs/k6/latest/set-up/install-k6/, or: go install go.k6.io/k6@latest)',
}

export function tool(name) {
  if (isThere(name)) return name
  const install = join(toolkit, 'tools/install')
  if (!existsSync(install))
    throw new Error(
      `${name} is not on the PATH: install ${sources[name]} so that it is, or set FLOTILLA_TOOLKIT to a folder that has tools/install`,
    )
  return unpacked(name, { install, folder: join(root, 'out/tools') })
}

export function unpacked(name, { install, folder }) {
  const path = join(folder, name)
  if (existsSync(path)) return path
  mkdirSync(folder, { recursive: true })
  // Others may do the same now: each unpacks for itself, and a program appears whole or not at all.
  const own = mkdtempSync(join(folder, '.unpacking-'))
  try {
    execFileSync(install, [own], { stdio: ['ignore', 'ignore', 'inherit'] })
    for (const file of readdirSync(own)) renameSync(join(own, file), join(folder, file))
  } finally {
    rmSync(own, { recursive: true, force: true })
  }
  return path
}
