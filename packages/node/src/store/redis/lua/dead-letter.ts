import { runFunction, script } from './script.ts'

/** Entries that a lane's dead-letter stream keeps. */
export const maxDeadLetters = 10_000

/** dead-letter. KEYS: the lane's stream. ARGV: slot, id, reason, body of the entry. Returns: run. Keeps the newest. */
export const deadLetter = script(
  'dead-letter',
  'writes',
  `${runFunction}
redis.call('XADD', KEYS[1], 'MAXLEN', ${maxDeadLetters}, '*', 'slot', ARGV[1], 'id', ARGV[2], 'reason', ARGV[3], 'b', ARGV[4])
return { run() }`,
)
