// deploy/manifests/flotilla.yaml, from the chart: node scripts/manifests.mjs [--check]
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { writeMade } from './made.mjs'
import { tool } from './toolkit.mjs'

const chart = fileURLToPath(new URL('../helm/flotilla', import.meta.url))
// Secrets that the chart makes are other ones each time: one is to be there, with the address of a Redis too.
const sets = ['auth.existingSecret=flotilla-keys', 'redis.enabled=false', 'externalRedis.existingSecret=flotilla-keys']
const args = ['template', 'flotilla', chart, '--namespace', 'flotilla', '--skip-tests']
const made = execFileSync(tool('helm'), [...args, '--set', sets.join(',')], { encoding: 'utf8' })
// Nothing that only helm looks at.
const plain = made.replaceAll(/^(?:# Source: .*| *app\.kubernetes\.io\/managed-by: .*| *helm\.sh\/chart: .*)\n/gm, '')
const files = { 'flotilla.yaml': `# Made by scripts/manifests.mjs of helm/flotilla; do not edit.\n${plain}` }
writeMade(files, { folder: new URL('../deploy/manifests/', import.meta.url), source: 'helm/flotilla' })
