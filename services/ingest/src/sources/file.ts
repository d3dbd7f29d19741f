import { readFileSync } from 'node:fs'
import { codeOf, readSecret } from '@flotilla/node/secret'
import { parse as parseYaml } from 'yaml'
import { sourcesFile } from './schema.ts'
import type { SecretPlace, Source } from './schema.ts'

/** Problems of a file that are told at once. */
const maxProblems = 20

/**
 * The sources of a file of YAML or JSON; none without a path.
 * @throws Error with every problem and its place, on lines of their own; without any secret.
 */
export function readSources(path: string | null): readonly Source[] {
  if (path === null) return []
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`FLOTILLA_SOURCES_FILE: ${path} cannot be read (${codeOf(error)})`, { cause: error })
  }
  return parseSources(text, path)
}

/** As {@link readSources}, of a text; `path` is for the messages. */
export function parseSources(text: string, path: string): readonly Source[] {
  let value: unknown
  try {
    // JSON is YAML.
    value = parseYaml(text, { maxAliasCount: 0 })
  } catch (error) {
    throw new Error(`FLOTILLA_SOURCES_FILE: ${path} is no YAML: ${error instanceof Error ? error.message : ''}`, {
      cause: error,
    })
  }
  const parsed = sourcesFile.safeParse(value)
  const problems = parsed.success
    ? conflicts(parsed.data.sources)
    : parsed.error.issues.map((issue) => `${placeOf(issue.path)}: ${issue.message}`)
  if (parsed.success && problems.length === 0) return parsed.data.sources
  const lines = problems.slice(0, maxProblems).map((problem) => `\n  ${problem}`)
  throw new Error(`FLOTILLA_SOURCES_FILE: ${path} is wrong:${lines.join('')}`)
}

/** `sources[0].map[1].to.room` */
function placeOf(path: readonly PropertyKey[]): string {
  const place = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('')
  return place === '' ? 'the file' : place.replace(/^\./, '')
}

function conflicts(sources: readonly Source[]): readonly string[] {
  return sources.flatMap((source, i) => {
    const place = `sources[${i}]`
    const found: string[] = []
    if (sources.findIndex(({ name }) => name === source.name) < i)
      found.push(`${place}.name: another source is named ${source.name}`)
    for (const [key, value] of Object.entries(source)) {
      if (!isSecretPlace(value)) continue
      try {
        readSecret(value)
      } catch (error) {
        found.push(`${place}.${key}: ${error instanceof Error ? error.message : String(error)}`)
      }
    }
    return found
  })
}

function isSecretPlace(value: unknown): value is SecretPlace {
  return typeof value === 'object' && value !== null && ('env' in value || 'file' in value)
}
