import { runFunction, script } from './script.ts'

/** remove-member. KEYS: members, lead. ARGV: boot. Returns: run. The lease goes with its holder. */
export const removeMember = script(
  'remove-member',
  'writes',
  `${runFunction}
redis.call('HDEL', KEYS[1], ARGV[1])
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return { run() }`,
)
