import { runFunction, script } from './script.ts'

/**
 * read-denials. KEYS: denials, their version. ARGV: the version that is known. Returns: run; the version; and all values when it is another.
 * A server that took over may lack changes and count on from there: so its run is a part of the version.
 */
export const readDenials = script(
  'read-denials',
  'reads',
  `${runFunction}
local server = run()
local version = (redis.call('GET', KEYS[2]) or '0') .. '@' .. server
if version == ARGV[1] then return { server, version } end
return { server, version, redis.call('HVALS', KEYS[1]) }`,
)
