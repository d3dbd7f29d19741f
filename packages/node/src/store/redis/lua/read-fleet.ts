import { runFunction, script } from './script.ts'

/** read-fleet. KEYS: members, plan. Returns: run; the members' records; the plan as JSON or `''`. */
export const readFleet = script(
  'read-fleet',
  'reads',
  `${runFunction}\nreturn { run(), redis.call('HVALS', KEYS[1]), redis.call('HGET', KEYS[2], 'json') or '' }`,
)
