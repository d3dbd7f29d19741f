import { runFunction, script } from './script.ts'

/**
 * A counter that was lost may have stood anywhere below the clock in seconds, and positions carry epochs: none may come
 * twice.
 * next-epoch. KEYS: the counter. ARGV: above, count. Returns: run; the first of `count` new epochs, as text.
 */
export const nextEpoch = script(
  'next-epoch',
  'writes',
  `${runFunction}
local last = math.max(tonumber(redis.call('GET', KEYS[1]) or redis.call('TIME')[1]), tonumber(ARGV[1]))
redis.call('SET', KEYS[1], string.format('%.0f', last + tonumber(ARGV[2])))
return { run(), string.format('%.0f', last + 1) }`,
)
