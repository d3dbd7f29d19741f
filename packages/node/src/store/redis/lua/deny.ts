import { runFunction, script } from './script.ts'

/**
 * deny. KEYS: denials, their version, when each is over. ARGV: id, when it is over (ms since 1970; 0: never), record, now, how many there may be,
 * until when a kick may be kept that every edge has heard of. Those that are over go, and where there is no room the oldest such kick. Returns: run; 1, or 0 when there are too many and it is not kept.
 */
export const deny = script(
  'deny',
  'writes',
  `${runFunction}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[4])) do
  redis.call('HDEL', KEYS[1], id)
  redis.call('ZREM', KEYS[3], id)
end
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then
  local heard
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', ARGV[6])) do
    if cjson.decode(redis.call('HGET', KEYS[1], id)).type == 'kick' then heard = id break end
  end
  if not heard then return { run(), 0 } end
  redis.call('HDEL', KEYS[1], heard)
  redis.call('ZREM', KEYS[3], heard)
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
if ARGV[2] == '0' then redis.call('ZREM', KEYS[3], ARGV[1]) else redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1]) end
redis.call('INCR', KEYS[2])
return { run(), 1 }`,
)
