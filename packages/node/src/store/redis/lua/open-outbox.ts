import { runFunction, script } from './script.ts'

/** open-outbox. KEYS: the outbox. ARGV: first record. Returns: run. Ids are 1-0, 1-1, …; an outbox that exists is left. */
export const openOutbox = script(
  'open-outbox',
  'writes',
  `${runFunction}
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('XADD', KEYS[1], '1-0', 'b', ARGV[1]) end
return { run() }`,
)
