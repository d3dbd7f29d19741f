import { runFunction, script } from './script.ts'

/** register. KEYS: members. ARGV: boot, record. Returns: run. */
export const register = script(
  'register',
  'writes',
  `${runFunction}\nredis.call('HSET', KEYS[1], ARGV[1], ARGV[2])\nreturn { run() }`,
)
