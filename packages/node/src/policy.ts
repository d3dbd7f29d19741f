import { readFile } from 'node:fs/promises'
import { defaultPolicy } from '@flotilla/core/policy-default'
import { parsePolicy } from '@flotilla/core/policy-file'
import type { Policy } from '@flotilla/core/policy'
import { parseDocument } from 'yaml'
import { ConfigError } from './config.ts'
import type { Log } from './log.ts'
import type { Metrics } from './metrics.ts'
import type { Scope } from './scope.ts'

/** How often the file is read: a ConfigMap's files are links that change as a whole, which watches of files miss. */
const readEveryMs = 2_000
/** UTF-16 units of a policy file. */
const maxChars = 1_048_576

/** The policy that holds now. */
export interface PolicySource {
  readonly current: Policy
  /** Called with every later one. */
  onChange(listener: (policy: Policy) => void): void
}

/** A policy that stays as it is. */
export function fixedPolicy(current: Policy = defaultPolicy): PolicySource {
  return { current, onChange: () => {} }
}

export interface PolicyDeps {
  readonly log: Log
  readonly scope: Scope
  readonly metrics: Metrics
  /** How often the file is read, ms; 2,000 when it is left out. */
  readonly everyMs?: number
  /** What else is wrong with a policy, one line each; such a one is not taken either. */
  readonly check?: (policy: Policy) => readonly string[]
}

/**
 * The policy of a file in YAML or JSON, or the default one without a file. It is read again when it changes; one that is
 * wrong is logged, and the one before holds on. Rejects with ConfigError when the file cannot be read or is wrong at the start.
 */
export async function openPolicy(
  path: string | null,
  { log, scope, metrics, everyMs = readEveryMs, check = () => [] }: PolicyDeps,
): Promise<PolicySource> {
  if (path === null) return fixedPolicy()
  const loads = metrics.counter({
    name: 'flotilla_policy_loads_total',
    help: 'Times that a changed policy file was read, by what came of it',
    labels: ['result'],
    series: [{ result: 'taken' }, { result: 'refused' }],
  })
  const listeners = new Set<(policy: Policy) => void>()
  let text = await readText(path)
  const read = (content: string): Policy => {
    const policy = policyOf(content, path)
    const problems = check(policy)
    if (problems.length > 0) throw new ConfigError(problems.map((problem) => `${path}: ${problem}`))
    return policy
  }
  let current = read(text)
  let unreadable = false

  scope.every(everyMs, async () => {
    try {
      const now = await readText(path)
      unreadable = false
      if (now === text) return
      text = now
      current = read(now)
      loads.inc({ result: 'taken' })
      log.info('the policy has changed', { path })
      for (const listener of listeners) listener(current)
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      if (unreadable) return
      unreadable = error.problems.some((problem) => problem.includes('cannot be read'))
      loads.inc({ result: 'refused' })
      log.error('the policy file is wrong, the policy before it holds on', { path, problems: error.problems })
    }
  })
  return {
    get current() {
      return current
    },
    onChange: (listener) => void listeners.add(listener),
  }
}

/** Reads and checks a file, once. */
export async function readPolicy(path: string): Promise<Policy> {
  return policyOf(await readText(path), path)
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new ConfigError([`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`])
  }
}

function policyOf(text: string, path: string): Policy {
  if (text.length > maxChars) throw new ConfigError([`${path} is larger than ${maxChars} characters`])
  const document = parseDocument(text, { uniqueKeys: true })
  const faults = [...document.errors, ...document.warnings]
  if (faults.length > 0) throw new ConfigError(faults.map(({ message }) => `${path}: ${firstLine(message)}`))
  const parsed = parsePolicy(valueOf(document, path))
  if (!parsed.ok) throw new ConfigError(parsed.problems.map((problem) => `${path}: ${problem}`))
  return parsed.policy
}

/** Aliases may be used, but not to make much out of little. */
function valueOf(document: ReturnType<typeof parseDocument>, path: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    throw new ConfigError([`${path}: ${error instanceof Error ? error.message : String(error)}`])
  }
}

/** The message of the library shows the place over several lines. */
const firstLine = (text: string): string => text.split('\n', 1)[0]?.replace(/:$/, '') ?? text
