import { runFunction, script } from './script.ts'

/**
 * mark-replicated
 *
 * KEYS: the key to write. ARGV: none. Returns: run.
 *
 * WAIT waits for the last write of its own connection, so there has to be one.
 */
export const markReplicated = script(
  'mark-replicated',
  'writes',
  `${runFunction}
redis.call('SET', KEYS[1], '1')
return { run() }`,
)
