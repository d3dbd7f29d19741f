import { runFunction, script } from './script.ts'

/**
 * heartbeat. KEYS: members, plan. ARGV: boot, record, plan version. Returns: run; 1 when the record was there and is
 * renewed, else 0 and nothing is written; the plan as JSON when its version is another.
 */
export const heartbeat = script(
  'heartbeat',
  'writes',
  `${runFunction}
local known = redis.call('HEXISTS', KEYS[1], ARGV[1])
if known == 1 then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
local plan = redis.call('HMGET', KEYS[2], 'version', 'json')
if plan[1] and plan[1] ~= ARGV[3] then return { run(), known, plan[2] } end
return { run(), known }`,
)
