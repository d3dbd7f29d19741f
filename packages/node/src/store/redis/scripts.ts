import { createHash } from 'node:crypto'

/**
 * The scripts: each one atomic step. All are declared `allow-oom`, because when Redis is full it is they that make room
 * and keep order; only producers' XADDs are refused. Each returns the run of the server it ran on, read inside it.
 */
export interface Script {
  readonly name: string
  readonly text: string
  readonly sha: string
}

function script(name: string, body: string): Script {
  const text = `#!lua flags=allow-oom\n${body}`
  return { name, text, sha: createHash('sha1').update(text).digest('hex') }
}

/** A server can be demoted and promoted again without a restart; then only its replication id is another. */
const run = `
local function run()
  local info = redis.call('INFO', 'server', 'replication')
  return string.match(info, 'run_id:(%w+)') .. ':' .. string.match(info, 'master_replid:(%w+)')
end
`

/** Lua cannot pass more than some 8,000 values at once; a commit of so many slots is rare, but must not fail. */
const wide = `
local function hmget(key, fields)
  if #fields <= 4000 then return redis.call('HMGET', key, unpack(fields)) end
  local all = {}
  for from = 1, #fields, 4000 do
    local to = math.min(from + 3999, #fields)
    local part = redis.call('HMGET', key, unpack(fields, from, to))
    for i = from, to do all[i] = part[i - from + 1] end
  end
  return all
end
local function hset(key, pairs)
  for from = 1, #pairs, 4000 do redis.call('HSET', key, unpack(pairs, from, math.min(from + 3999, #pairs))) end
end
`

/**
 * Why a stored value does not begin with what a commit expects. 1 applied before, 2 fenced, 3 unclaimed, 4 regressed,
 * 5 conflict (core/commit.ts SlotStatus).
 */
const judge = `
local function head(value)
  local epoch, owner, n, token = string.match(value, '^(%d+)|([^|]*)|(%d+)|([^|]*)|')
  return tonumber(epoch), owner, tonumber(n), token
end
local function judge(stored, mine)
  if not stored then return 3 end
  local se, so, sn, st = head(stored)
  local me, mo, mn, mt = head(mine)
  if se < me then return 3 end
  if se > me or so ~= mo then return 2 end
  if sn > mn then return 1 end
  if sn == mn then
    if st == mt then return 1 end
    return 5
  end
  if sn == mn - 1 then return 5 end
  return 4
end
`

/**
 * commit
 * KEYS: slots hash; then logs; outboxes; interest hashes, each in the order of its arguments.
 * ARGV: number of slots, per slot (slot, expected prefix, new value);
 *       number of logs, per log (id, keep-from id, body);
 *       number of outboxes, per outbox (body);
 *       number of interest hashes, per hash (number of changes, per change ('+' or '-', field)).
 * Returns: run; status per slot (0: matches); indexes of outboxes that do not exist.
 * Writes only when every status is 0. The slots' values come last: a script that was cut short before leaves entries
 * that its repetition writes again.
 */
export const commit = script(
  'commit',
  `${run}${judge}${wide}
local at, key = 2, 2
local ns = tonumber(ARGV[1])
local fields = {}
for i = 1, ns do fields[i] = ARGV[at + (i - 1) * 3] end
local stored = hmget(KEYS[1], fields)
local statuses, clean, values = {}, true, {}
for i = 1, ns do
  local expect = ARGV[at + 1]
  local value = ARGV[at + 2]
  if stored[i] and string.sub(stored[i], 1, #expect) == expect then
    statuses[i] = 0
  else
    statuses[i] = judge(stored[i], value)
    clean = false
  end
  values[i * 2 - 1] = fields[i]
  values[i * 2] = value
  at = at + 3
end
if not clean then return { run(), statuses, {} } end
local nl = tonumber(ARGV[at])
at = at + 1
for _ = 1, nl do
  local reply = redis.pcall('XADD', KEYS[key], 'MINID', '~', ARGV[at + 1], ARGV[at], 'b', ARGV[at + 2])
  if type(reply) == 'table' and reply.err and not string.find(reply.err, 'equal or smaller', 1, true) then return reply end
  at = at + 3
  key = key + 1
end
local no = tonumber(ARGV[at])
at = at + 1
local missing = {}
for i = 1, no do
  local id = redis.call('XADD', KEYS[key], 'NOMKSTREAM', 'MAXLEN', '~', 100000, '1-*', 'b', ARGV[at])
  if not id then missing[#missing + 1] = i - 1 end
  at = at + 1
  key = key + 1
end
local ni = tonumber(ARGV[at])
at = at + 1
for _ = 1, ni do
  local changes = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, changes do
    if ARGV[at] == '+' then redis.call('HSET', KEYS[key], ARGV[at + 1], '1')
    else redis.call('HDEL', KEYS[key], ARGV[at + 1]) end
    at = at + 2
  end
  key = key + 1
end
hset(KEYS[1], values)
return { run(), statuses, missing }`,
)

/**
 * claim
 * KEYS: slots hash; then the outboxes of live boots.
 * ARGV: slot, epoch, owner, confirmed, holdsAfter ('' for none), reset record, inc of holdsAfter.
 * Returns: run; 1 taken or 0 refused; the value now stored ('' for none); the prefix before ('' for none or repeated).
 */
export const claim = script(
  'claim',
  `${run}${judge}
local slot, epoch, owner, confirmed, holds = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), ARGV[5]
local now = run()
local stored = redis.call('HGET', KEYS[1], slot)
local n, inc, vouched, cursor, marks, before = 0, nil, now, '0-0', '', ''
if stored then
  local se, so, sn, st = head(stored)
  if se >= epoch then
    if se == epoch and so == owner and st == 'c' .. ARGV[2] then return { now, 1, stored, '' } end
    return { now, 0, stored, '' }
  end
  local sinc, srun
  sinc, srun, cursor, marks = string.match(stored, '^%d+|[^|]*|%d+|[^|]*|(%d+)|([^|]*)|([^|]*)|(.*)$')
  before = string.match(stored, '^%d+|[^|]*|%d+|[^|]*|')
  n = sn
  if holds ~= '' and holds == before then
    inc, vouched = ARGV[7], srun
  elseif srun == now and se >= confirmed then
    inc = sinc
  end
end
local reset = not inc
if reset then inc = ARGV[2] end
local value = table.concat({ ARGV[2], owner, string.format('%.0f', n + 1), 'c' .. ARGV[2], inc, vouched, cursor, marks }, '|')
redis.call('HSET', KEYS[1], slot, value)
if reset then
  for i = 2, #KEYS do redis.call('XADD', KEYS[i], 'NOMKSTREAM', '1-*', 'b', ARGV[6]) end
end
return { now, 1, value, before }`,
)

/**
 * vouch
 * KEYS: slots hash. ARGV: per slot (slot, prefix). Returns: run; status per slot. All or nothing.
 */
export const vouch = script(
  'vouch',
  `${run}${judge}${wide}
local statuses, clean, values, now = {}, true, {}, run()
for i = 1, #ARGV, 2 do
  local stored = redis.call('HGET', KEYS[1], ARGV[i])
  local prefix = ARGV[i + 1]
  if stored and string.sub(stored, 1, #prefix) == prefix then
    statuses[#statuses + 1] = 0
    local inc, rest = string.match(stored, '^%d+|[^|]*|%d+|[^|]*|(%d+|)[^|]*(|.*)$')
    values[#values + 1] = ARGV[i]
    values[#values + 1] = prefix .. inc .. now .. rest
  else
    local status = judge(stored, prefix)
    -- A newer value of this owner's than it knows of is nothing that it may vouch for.
    if status == 1 then status = 5 end
    statuses[#statuses + 1] = status
    clean = false
  end
end
if clean then hset(KEYS[1], values) end
return { now, statuses }`,
)

/**
 * maintain
 * KEYS: slots hash; per slot its input; then logs to renew. ARGV: number of slots, time to live of logs in ms, per slot
 * (slot, ownership prefix, number of its logs). Returns: run. A slot of another owner is left alone.
 */
export const maintain = script(
  'maintain',
  `${run}
local ns, ttl = tonumber(ARGV[1]), ARGV[2]
local log = 2 + ns
for i = 1, ns do
  local at = i * 3
  local stored = redis.call('HGET', KEYS[1], ARGV[at])
  local mine = stored and string.sub(stored, 1, #ARGV[at + 1]) == ARGV[at + 1]
  if mine then
    local ms, n = string.match(stored, '^%d+|[^|]*|%d+|[^|]*|%d+|[^|]*|(%d+)-(%d+)|')
    redis.call('XTRIM', KEYS[1 + i], 'MINID', ms .. '-' .. string.format('%.0f', n + 1))
  end
  for _ = 1, tonumber(ARGV[at + 2]) do
    if mine then redis.call('PEXPIRE', KEYS[log], ttl) end
    log = log + 1
  end
end
return { run() }`,
)

/** values. KEYS: slots hash. ARGV: slots. Returns: run; the values. */
export const values = script('values', `${run}${wide}\nreturn { run(), hmget(KEYS[1], ARGV) }`)

/** run. Returns: run. */
export const serverRun = script('run', `${run}\nreturn { run() }`)

/** open. KEYS: outbox. ARGV: first record. Returns: run. Ids of an outbox are 1-0, 1-1, … */
export const open = script(
  'open',
  `${run}
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('XADD', KEYS[1], '1-0', 'b', ARGV[1]) end
return { run() }`,
)

/** leave. KEYS: members, lead. ARGV: boot. Returns: run. Gives the lease up too, if the boot has it. */
export const leave = script(
  'leave',
  `${run}
redis.call('HDEL', KEYS[1], ARGV[1])
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return { run() }`,
)

/** register. KEYS: members. ARGV: boot, record. Returns: run. */
export const register = script('register', `${run}\nredis.call('HSET', KEYS[1], ARGV[1], ARGV[2])\nreturn { run() }`)

/**
 * heartbeat. KEYS: members, plan. ARGV: boot, record, plan version. Returns: run; 1 when the record was there (and is
 * renewed); the plan when its version is another.
 */
export const heartbeat = script(
  'heartbeat',
  `${run}
local known = redis.call('HEXISTS', KEYS[1], ARGV[1])
if known == 1 then redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) end
local plan = redis.call('HMGET', KEYS[2], 'version', 'json')
if plan[1] and plan[1] ~= ARGV[3] then return { run(), known, plan[2] } end
return { run(), known }`,
)

/** readFleet. KEYS: members, plan. Returns: run; the records; the plan or ''. */
export const readFleet = script(
  'readFleet',
  `${run}\nreturn { run(), redis.call('HVALS', KEYS[1]), redis.call('HGET', KEYS[2], 'json') or '' }`,
)

/** lead. KEYS: lead. ARGV: boot, time to live in ms. Returns: run; 1 when the boot has the lease. */
export const lead = script(
  'lead',
  `${run}
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return { run(), 0 } end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return { run(), 1 }`,
)

/** publishPlan. KEYS: lead, plan. ARGV: boot, version, json. Returns: run; 1 when written: the leader's, and newer. */
export const publishPlan = script(
  'publishPlan',
  `${run}
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return { run(), 0 } end
local version = tonumber(redis.call('HGET', KEYS[2], 'version') or '0')
if version >= tonumber(ARGV[2]) then return { run(), 0 } end
redis.call('HSET', KEYS[2], 'version', ARGV[2], 'json', ARGV[3])
return { run(), 1 }`,
)

/** nextEpoch. KEYS: epoch. ARGV: above, count. Returns: run; the first of the epochs. */
export const nextEpoch = script(
  'nextEpoch',
  `${run}
local last = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), tonumber(ARGV[1]))
redis.call('SET', KEYS[1], string.format('%.0f', last + tonumber(ARGV[2])))
return { run(), last + 1 }`,
)
