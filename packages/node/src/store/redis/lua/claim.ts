import { judgeFunction, runFunction, script } from './script.ts'

/**
 * claim
 *
 * KEYS: the slots hash; then the outboxes of live boots.
 * ARGV: slot, epoch, owner, confirmed, holdsAfter (`''` for none), reset record, inc of holdsAfter, replaced runs
 * (`run=epoch,…`), run of holdsAfter.
 * Returns: run; 1 taken or 0 refused; the value now stored (`''` for none); the prefix before (`''` when there was none,
 * or when this claim was taken before).
 *
 * Taken only with a higher epoch than the stored one. When the claimer holds every commit after the stored one `inc` is
 * that of its commits, and the run stays as it is until the claimer vouches (empty, where
 * the stored claim is from before the server's own run was replaced); what it holds is said of the server of one run, and
 * any other refuses. Else `inc` is kept when the stored run is
 * the server's and the stored epoch not below the confirmed one, and above that of the run if it was replaced; else it is the new epoch, and the reset record goes to
 * every outbox that exists.
 */
export const claim = script(
  'claim',
  'writes',
  `${runFunction}${judgeFunction}
local slot, epoch, owner, confirmed, holds = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), ARGV[5]
local token = 'c' .. ARGV[2]
local now = run()
local stored = redis.call('HGET', KEYS[1], slot)
local n, inc, vouched, cursor, marks, before = 0, nil, now, '0-0', '', ''
if stored then
  local se, so, sn, st = head(stored)
  if se >= epoch then
    if se == epoch and so == owner and st == token then return { now, 1, stored, '' } end
    return { now, 0, stored, '' }
  end
end
if holds ~= '' and now ~= ARGV[9] then return { now, 0, stored or '', '' } end
if stored then
  local se, _, sn = head(stored)
  local sinc, srun
  sinc, srun, cursor, marks = string.match(stored, '^%d+|[^|]*|%d+|[^|]*|(%d+)|([^|]*)|([^|]*)|(.*)$')
  before = string.match(stored, '^%d+|[^|]*|%d+|[^|]*|')
  n = sn
  local proven, old = now ~= '' and srun == now and se >= confirmed, false
  for replaced, till in string.gmatch(ARGV[8], '([^=,]+)=(%d+)') do
    if replaced == now and se <= tonumber(till) then proven, old = false, true end
  end
  if holds ~= '' and holds == before then
    inc, vouched = ARGV[7], old and '' or srun
  elseif proven then
    inc = sinc
  end
end
local lost = not inc
if lost then inc = ARGV[2] end
local value = table.concat({ ARGV[2], owner, string.format('%.0f', n + 1), token, inc, vouched, cursor, marks }, '|')
redis.call('HSET', KEYS[1], slot, value)
if lost then
  for i = 2, #KEYS do redis.call('XADD', KEYS[i], 'NOMKSTREAM', '1-*', 'b', ARGV[6]) end
end
return { now, 1, value, before }`,
)
