import { runFunction, script } from './script.ts'

/** lead. KEYS: lead, its term. ARGV: boot, time to live in ms, term. Returns: run; 1 when the boot has the lease now. */
export const lead = script(
  'lead',
  'writes',
  `${runFunction}
local holder = redis.call('GET', KEYS[1])
local term = tonumber(redis.call('GET', KEYS[2]) or '0')
if holder and holder ~= ARGV[1] and tonumber(ARGV[3]) <= term then return { run(), 0 } end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[2])
return { run(), 1 }`,
)
