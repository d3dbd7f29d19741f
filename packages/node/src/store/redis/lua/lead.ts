import { runFunction, script } from './script.ts'

/** lead. KEYS: lead. ARGV: boot, time to live in ms. Returns: run; 1 when the boot has the lease now. */
export const lead = script(
  'lead',
  'writes',
  `${runFunction}
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return { run(), 0 } end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { run(), 1 }`,
)
