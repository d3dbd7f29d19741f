import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Log } from '@flotilla/node/log'
import type { Metrics } from '@flotilla/node/metrics'
import type { Scope } from '@flotilla/node/scope'
import { parseKeyring } from './keyring.ts'
import { keysOf, parseKeys } from './keys.ts'
import type { IngestKeys } from './keys.ts'

/** A file that was changed is in force this much later at the most, ms. */
const reloadEveryMs = 2_000

interface WatchDeps {
  readonly log: Log
  readonly scope: Scope
  readonly metrics: Metrics
  /** For tests; `reloadEveryMs` by default. */
  readonly everyMs?: number
}
export interface OpenedKeys extends IngestKeys {
  /** From now on, until the scope is closed, takes what the file says when it changes; a wrong one is logged and changes nothing. */
  watch(deps: WatchDeps): void
}
interface KeySettings {
  /** `FLOTILLA_INGEST_KEYS`. */
  readonly keys: string | null
  /** `FLOTILLA_INGEST_KEYRING`: a path. */
  readonly keyring: string | null
}

/**
 * The keys of the setting and of the file, together.
 * @throws Error that says what is wrong with them, or that there are none.
 */
export function openKeys({ keys, keyring }: KeySettings): OpenedKeys {
  if (keyring === null) return { ...parseKeys(keys ?? ''), watch: () => {} }
  const file = openKeyring(keyring)
  return keys === null ? file : { ...either(parseKeys(keys), file), watch: file.watch }
}

/** Both are asked, whatever the first says: it takes the same time. */
function either(a: IngestKeys, b: IngestKeys): IngestKeys {
  return {
    identify: (secret) => {
      const found = [a.identify(secret), b.identify(secret)]
      return found[0] ?? found[1]
    },
    holds: (key) => a.holds(key) || b.holds(key),
  }
}

function openKeyring(path: string): OpenedKeys {
  let text = readText(path)
  let known = parse(path, text, [])
  /** What was wrong when it was last read: said once. */
  let wrong: string | null = null
  const reload = async ({ log }: WatchDeps): Promise<void> => {
    try {
      const read = await readFile(path, 'utf8')
      if (read === text && wrong === null) return
      if (read !== text) known = parse(path, read, known)
      text = read
      wrong = null
      log.info('the keyring was read', { path, keys: known.length })
    } catch (error) {
      const why = messageOf(error)
      if (why !== wrong) log.error('the keyring is wrong: the keys before it hold on', { path, why })
      wrong = why
    }
  }
  return {
    ...keysOf(() => known),
    watch: (deps) => {
      const failing = deps.metrics.gauge({
        name: 'flotilla_ingest_keyring_failing',
        help: '1 while the file of keys cannot be read or is wrong, and the keys before it hold on.',
      })
      failing.set(0)
      deps.scope.every(deps.everyMs ?? reloadEveryMs, async () => {
        await reload(deps)
        failing.set(wrong === null ? 0 : 1)
      })
    },
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new Error(`FLOTILLA_INGEST_KEYRING: ${messageOf(error)}`, { cause: error })
  }
}

function parse(
  path: string,
  text: string,
  before: Parameters<typeof parseKeyring>[1],
): ReturnType<typeof parseKeyring> {
  try {
    return parseKeyring(text, before)
  } catch (error) {
    throw new Error(`FLOTILLA_INGEST_KEYRING: ${path}: ${messageOf(error)}`, { cause: error })
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
