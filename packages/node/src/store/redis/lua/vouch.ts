import { judgeFunction, runFunction, script } from './script.ts'

/**
 * vouch
 *
 * KEYS: the slots hash. ARGV: per slot: slot, prefix of its value; the run that the caller expects, `''` for any.
 * Returns: run; verdict per slot. Writes the run into every slot's value, or nothing unless all begin with their prefix.
 * On a server of another run every slot has regressed, as for a commit.
 *
 * A newer value of the caller's than it knows of is a conflict: it is nothing that it could vouch for.
 */
export const vouch = script(
  'vouch',
  'writes',
  `${runFunction}${judgeFunction}
local statuses, clean, values, now, expected = {}, true, {}, run(), ARGV[#ARGV]
if expected ~= '' and now ~= '' and now ~= expected then
  for i = 1, #ARGV - 1, 2 do statuses[#statuses + 1] = 4 end
  return { now, statuses }
end
for i = 1, #ARGV - 1, 2 do
  local stored, prefix = redis.call('HGET', KEYS[1], ARGV[i]), ARGV[i + 1]
  local matches = stored and string.sub(stored, 1, #prefix) == prefix
  local status = matches and 0 or judge(stored, prefix, true)
  if status == 1 then status = 5 end
  statuses[#statuses + 1] = status
  if matches then
    local before, after = string.match(stored, '^(%d+|[^|]*|%d+|[^|]*|%d+|)[^|]*(|.*)$')
    values[#values + 1] = before .. now .. after
  else
    clean = false
  end
end
if clean then
  for i = 1, #values do redis.call('HSET', KEYS[1], ARGV[i * 2 - 1], values[i]) end
end
return { now, statuses }`,
)
