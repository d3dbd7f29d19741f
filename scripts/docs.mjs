// Writes the tables of docs/config.md from the services' own tables; what stands above the first of them stays. And the schema of policies.
import { readFileSync, writeFileSync } from 'node:fs'
import { policySchema } from '@flotilla/core/policy-file'
import { renderMarkdown } from '@flotilla/node/config'
import { controlConfig } from '@flotilla/control/config'
import { edgeConfig } from '@flotilla/edge/config'
import { ingestConfig } from '@flotilla/ingest/config'
import { shardConfig } from '@flotilla/shard/config'

const services = [
  ['Edge', edgeConfig],
  ['Shard', shardConfig],
  ['Control', controlConfig],
  ['Ingest', ingestConfig],
]

const page = new URL('../docs/config.md', import.meta.url)
const above = readFileSync(page, 'utf8').split(/^## /m, 1)[0].trimEnd()
const sections = services.map(([name, table]) => `## ${name}\n\n${renderMarkdown(table)}`)
writeFileSync(page, `${above}\n\n${sections.join('\n')}`)
writeFileSync(new URL('../docs/policy.schema.json', import.meta.url), `${JSON.stringify(policySchema(), null, 2)}\n`)
