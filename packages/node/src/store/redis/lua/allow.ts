import { runFunction, script } from './script.ts'

/** allow. KEYS: denials, their version, when each is over. ARGV: id. Returns: run; 1, or 0 when there was none. */
export const allow = script(
  'allow',
  'writes',
  `${runFunction}
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then return { run(), 0 } end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('INCR', KEYS[2])
return { run(), 1 }`,
)
