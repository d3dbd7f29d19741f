import { runFunction, script, unpackMax } from './script.ts'

/** values. KEYS: the slots hash. ARGV: slots. Returns: run; the stored values, null where there is none. */
export const values = script(
  'values',
  'reads',
  `${runFunction}
local found = {}
for from = 1, #ARGV, ${unpackMax} do
  local part = redis.call('HMGET', KEYS[1], unpack(ARGV, from, math.min(#ARGV, from + ${unpackMax} - 1)))
  for i = 1, #part do found[from + i - 1] = part[i] end
end
return { run(), found }`,
)
