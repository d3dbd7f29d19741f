// What the servers of a fleet were asked to do.
import { leastDisturbed } from './search.mjs'

/** A commit is a script; the calls inside of it count as well. */
const commands = ['xread', 'xadd', 'evalsha', 'fcall']

async function callsOf(fleet) {
  const calls = Object.fromEntries(commands.map((command) => [command, 0]))
  for (const redis of fleet.primaries) {
    const info = String(await redis.call('INFO', 'commandstats'))
    for (const [, command, count] of info.matchAll(/cmdstat_(\w+):calls=(\d+)/g)) {
      if (command in calls) calls[command] += Number(count)
    }
  }
  return calls
}

/** The row of `run`, the least disturbed of a few, with the calls to Redis that it made. */
export const counted = (fleet, run) =>
  leastDisturbed(async () => {
    const before = await callsOf(fleet)
    const row = await run()
    const after = await callsOf(fleet)
    const made = (command) => after[command] - before[command]
    return { ...row, calls: { read: made('xread'), add: made('xadd'), script: made('evalsha') + made('fcall') } }
  })
