import { runFunction, script } from './script.ts'

/**
 * keep-place. KEYS: the place, a hash of version and text. ARGV: the version that it is to have, 0 for none; text.
 * Returns: run; 1 when it was written under the next version, 0 when its version is another.
 */
export const keepPlace = script(
  'keep-place',
  'writes',
  `${runFunction}
if (redis.call('HGET', KEYS[1], 'version') or '0') ~= ARGV[1] then return { run(), 0 } end
redis.call('HSET', KEYS[1], 'version', ARGV[1] + 1, 'text', ARGV[2])
return { run(), 1 }`,
)
