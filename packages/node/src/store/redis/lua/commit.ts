import { RS } from '@flotilla/core/entry'
import { maxOutboxEntries, roomIdleMs } from '@flotilla/core/limits'
import { judgeFunction, runFunction, script, unpackMax } from './script.ts'

/**
 * commit
 *
 * KEYS: the slots hash; then the logs, the outboxes and the interest hashes, each in the order of its arguments.
 * ARGV: number of slots, then per slot: slot, expected prefix, new value;
 *       number of logs, then per log: id; the id to keep from, `''` to trim nothing, `'new'` for the first entry of a
 *       room's life; body;
 *       number of outboxes, then per outbox: records, the logs that follow them, `first last` of each
 *       run of their numbers from 1;
 *       number of interest hashes, then per hash: number of changes, per change: `'+'` or `'-'`, field;
 *       the run that the caller expects, `''` for any.
 * Returns: run; verdict per slot (script.ts); indexes (from 0) of outboxes that do not exist; of a log that has another
 * entry where one is to be written the index (from 0): then the script ended there, and no slot has its value.
 * A log's body comes once, however many outboxes it goes to; outboxes of the same logs get the same text.
 * Errors: those of the server. Only a key of a wrong type can make it fail half-way.
 *
 * On a server of another run every slot has regressed, whatever its value says: the caller may not have heard yet of what
 * this server never had. Else it checks first, and writes only when every slot matches; a caller cuts out slots that were written before. The
 * values of the slots come last, in one command: a script that was cut short before that is repeated whole. An entry
 * that a log has already is refused by its id; it counts as written when its text is the same. A log's life of a day begins with its first
 * entry and is renewed by maintenance, so that a commit costs no command for it.
 */
export const commit = script(
  'commit',
  'writes',
  `${runFunction}${judgeFunction}
local ns = tonumber(ARGV[1])
local at, key = 2, 2
local now, expected = run(), ARGV[#ARGV]
if expected ~= '' and now ~= '' and now ~= expected then
  local regressed = {}
  for i = 1, ns do regressed[i] = 4 end
  return { now, regressed, {} }
end
local statuses, clean, fields, values = {}, true, {}, {}
for i = 1, ns do fields[i] = ARGV[at + (i - 1) * 3] end
for from = 1, ns, ${unpackMax} do
  local to = math.min(ns, from + ${unpackMax} - 1)
  local stored = redis.call('HMGET', KEYS[1], unpack(fields, from, to))
  for i = from, to do
    local expect, value, found = ARGV[at + 1], ARGV[at + 2], stored[i - from + 1]
    if found and string.sub(found, 1, #expect) == expect then
      statuses[i] = 0
    else
      statuses[i] = judge(found, value)
      clean = false
    end
    values[i * 2 - 1] = fields[i]
    values[i * 2] = value
    at = at + 3
  end
end
if not clean then return { now, statuses, {} } end
local function isWritten(log, id, body)
  local found = redis.call('XRANGE', log, id, id)[1]
  return found and found[2][1] == 'b' and found[2][2] == body
end
local nl = tonumber(ARGV[at])
at = at + 1
local bodies = at - 1
for log = 1, nl do
  local from, reply = ARGV[at + 1], nil
  if from == '' or from == 'new' then reply = redis.pcall('XADD', KEYS[key], ARGV[at], 'b', ARGV[at + 2])
  else reply = redis.pcall('XADD', KEYS[key], 'MINID', '~', from, ARGV[at], 'b', ARGV[at + 2]) end
  if type(reply) == 'table' and reply.err then
    if not string.find(reply.err, 'equal or smaller', 1, true) then return reply end
    if not isWritten(KEYS[key], ARGV[at], ARGV[at + 2]) then return { now, statuses, {}, log - 1 } end
  elseif from == 'new' then
    redis.call('PEXPIRE', KEYS[key], ${roomIdleMs})
  end
  at = at + 3
  key = key + 1
end
local texts = {}
local function textOf(logs)
  local parts, n = {}, 0
  for first, last in string.gmatch(logs, '(%d+) (%d+)') do
    for log = first, last do
      n = n + 1
      parts[n] = ARGV[bodies + log * 3]
    end
  end
  texts[logs] = table.concat(parts, '${RS}')
  return texts[logs]
end
local no = tonumber(ARGV[at])
at = at + 1
local missing = {}
for i = 1, no do
  local text, logs = ARGV[at], ARGV[at + 1]
  if logs ~= '' then
    local events = texts[logs] or textOf(logs)
    text = text == '' and events or text .. '${RS}' .. events
  end
  local id = redis.call('XADD', KEYS[key], 'NOMKSTREAM', 'MAXLEN', '~', ${maxOutboxEntries}, '1-*', 'b', text)
  if not id then missing[#missing + 1] = i - 1 end
  at = at + 2
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
for from = 1, ns * 2, ${unpackMax} do
  redis.call('HSET', KEYS[1], unpack(values, from, math.min(ns * 2, from + ${unpackMax} - 1)))
end
return { now, statuses, missing }`,
)
