import { roomIdleMs } from '@flotilla/core/limits'
import { runFunction, script } from './script.ts'

/**
 * maintain
 *
 * KEYS: the slots hash; per slot its input; then the logs to renew.
 * ARGV: number of slots, per slot: slot, prefix, number of its logs. Returns: run.
 *
 * Trims each input through the stored cursor and renews the life of the logs. A slot whose value does not begin with
 * its prefix is left alone.
 */
export const maintain = script(
  'maintain',
  'writes',
  `${runFunction}
local ns = tonumber(ARGV[1])
local log = 2 + ns
for i = 1, ns do
  local at = i * 3 - 1
  local stored, prefix = redis.call('HGET', KEYS[1], ARGV[at]), ARGV[at + 1]
  local mine = stored and string.sub(stored, 1, #prefix) == prefix
  if mine then
    local ms, n = string.match(stored, '^%d+|[^|]*|%d+|[^|]*|%d+|[^|]*|(%d+)%-(%d+)|')
    if ms then redis.call('XTRIM', KEYS[1 + i], 'MINID', ms .. '-' .. string.format('%.0f', tonumber(n) + 1)) end
  end
  for _ = 1, tonumber(ARGV[at + 2]) do
    if mine then redis.call('PEXPIRE', KEYS[log], ${roomIdleMs}) end
    log = log + 1
  end
end
return { run() }`,
)
