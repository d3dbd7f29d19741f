import { judgeFunction, runFunction, script } from './script.ts'

/**
 * vouch
 *
 * KEYS: the slots hash. ARGV: per slot: slot, prefix of its value.
 * Returns: run; verdict per slot. Writes the run into every slot's value, or nothing unless all begin with their prefix.
 */
export const vouch = script(
  'vouch',
  'writes',
  `${runFunction}${judgeFunction}
local statuses, clean, values, now = {}, true, {}, run()
for i = 1, #ARGV, 2 do
  local stored, prefix = redis.call('HGET', KEYS[1], ARGV[i]), ARGV[i + 1]
  if stored and string.sub(stored, 1, #prefix) == prefix then
    statuses[#statuses + 1] = 0
    local inc, rest = string.match(stored, '^%d+|[^|]*|%d+|[^|]*|(%d+|)[^|]*(|.*)$')
    values[#values + 1] = prefix .. inc .. now .. rest
  else
    statuses[#statuses + 1] = judge(stored, prefix)
    clean = false
  end
end
if clean then
  for i = 1, #values do redis.call('HSET', KEYS[1], ARGV[i * 2 - 1], values[i]) end
end
return { now, statuses }`,
)
