// Everything that a fleet keeps in Redis, by kind. packages/node/src/store/redis/keys.ts is where the keys come from.

/** One script, so that it is one moment: key, type, entries or fields, bytes, and of a stream its first and last id. */
const script = `local out = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local type = redis.call('TYPE', key).ok
  local size, first, last = 1, '', ''
  if type == 'hash' then size = redis.call('HLEN', key) end
  if type == 'stream' then
    size = redis.call('XLEN', key)
    if size > 0 then
      first = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1][1]
      last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1][1]
    end
  end
  out[#out + 1] = { key, size, redis.call('MEMORY', 'USAGE', key) or 0, first, last }
end
return out`

/** `fleet` for all keys of the whole fleet; `other` for what is no key of ours. */
export function kindOf(key) {
  const [, tag, kind] = /^[^{]*\{([^}]*)\}:([a-z]+)/.exec(key) ?? []
  if (tag === 'fleet') return kind === 'members' ? 'members' : 'fleet'
  return ['slots', 'in', 'interest', 'log', 'out', 'dead'].includes(kind) ? kind : 'other'
}

/** The number in front of a stream's id: of a log, the seq of the entry's last message. */
const head = (id) => Number(id.split('-', 1)[0])

/** By kind: how many keys, entries in all and in the largest, bytes in all, and the most messages that one log holds. */
export function tally(rows) {
  const kinds = {}
  for (const [key, size, bytes, first, last] of rows) {
    const kind = (kinds[kindOf(key)] ??= { keys: 0, entries: 0, most: 0, bytes: 0, messages: 0 })
    kind.keys += 1
    kind.entries += size
    kind.most = Math.max(kind.most, size)
    kind.bytes += bytes
    if (kindOf(key) === 'log' && size > 0) kind.messages = Math.max(kind.messages, head(last) - head(first) + 1)
  }
  return kinds
}

export async function inventory(redis) {
  const kinds = tally(await redis.call('EVAL', script, 0))
  const memory = String(await redis.call('INFO', 'memory'))
  return { kinds, usedBytes: Number(/used_memory:(\d+)/.exec(memory)?.[1]) }
}
