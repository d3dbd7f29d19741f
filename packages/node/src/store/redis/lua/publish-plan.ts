import { runFunction, script } from './script.ts'

/** publish-plan. KEYS: lead, plan. ARGV: boot, version, JSON. Returns: run; 1 when written: by the leader, and newer. */
export const publishPlan = script(
  'publish-plan',
  'writes',
  `${runFunction}
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return { run(), 0 } end
if tonumber(redis.call('HGET', KEYS[2], 'version') or '0') >= tonumber(ARGV[2]) then return { run(), 0 } end
redis.call('HSET', KEYS[2], 'version', ARGV[2], 'json', ARGV[3])
return { run(), 1 }`,
)
