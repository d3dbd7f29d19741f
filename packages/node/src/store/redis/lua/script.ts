import { createHash } from 'node:crypto'

/**
 * One server-side script: one atomic step. The first item of every reply is the run of the server it ran on.
 *
 * Those that write are declared `allow-oom`: when Redis is full it is they that make room and keep order, and only
 * producers' XADDs are refused. Those that only read are declared `no-writes`, so that a server that cannot write
 * (disk full, a replica) still answers them.
 */
export interface Script {
  readonly name: string
  readonly text: string
  readonly sha: string
}

/** How many values Lua's `unpack` is given at a time, well below what its stack holds (about 8,000). */
export const unpackMax = 2_000

export function script(name: string, kind: 'writes' | 'reads', body: string): Script {
  const flags = kind === 'writes' ? 'allow-oom' : 'no-writes,allow-oom'
  const text = `#!lua flags=${flags}\n${body.trim()}\n`
  return { name, text, sha: createHash('sha1').update(text).digest('hex') }
}

/**
 * `run()`: identity of the server's state, `run_id:master_replid`. A server can be demoted and promoted again without a
 * restart, and then only its replication id is another, so both are read inside the script: about 10 µs. Empty where
 * INFO may not be called by scripts: then no claim is ever proven (claim.ts).
 */
export const runFunction = `
local function run()
  local info = redis.pcall('INFO', 'server', 'replication')
  if type(info) ~= 'string' then return '' end
  local id, replid = string.match(info, 'run_id:(%w+)'), string.match(info, 'master_replid:(%w+)')
  if id and replid then return id .. ':' .. replid end
  return ''
end
`

/** A commit's answer for one slot, as the scripts say it; `match` is theirs alone. */
export const verdicts = ['match', 'ok', 'fenced', 'unclaimed', 'regressed', 'conflict'] as const
export type Verdict = (typeof verdicts)[number]

/**
 * `judge(stored, mine)`: why a stored value does not begin with what was expected, as an index of `verdicts`; `mine`
 * begins with the prefix of the value that was to be written (core/commit.ts SlotStatus), or, with `isStored`, of the
 * value that was to be found.
 */
export const judgeFunction = `
local function head(value)
  local epoch, owner, n, token = string.match(value, '^(%d+)|([^|]*)|(%d+)|([^|]*)|')
  return tonumber(epoch), owner, tonumber(n), token
end
local function judge(stored, mine, isStored)
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
  if sn == mn - 1 and not isStored then return 5 end
  return 4
end
`
