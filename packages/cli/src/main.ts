import { ConfigError } from '@flotilla/node/config'
import { policyCommand, policyUsage } from './policy.ts'
import type { Outcome } from './policy.ts'

async function run([command, ...args]: readonly string[]): Promise<Outcome> {
  if (command === 'policy') return policyCommand(args)
  const isHelp = command === undefined || command === '--help' || command === 'help'
  return { out: isHelp ? policyUsage : `there is no flotilla ${command}\n\n${policyUsage}`, code: isHelp ? 0 : 2 }
}

try {
  const { out, code } = await run(process.argv.slice(2))
  const stream = code === 2 ? process.stderr : process.stdout
  stream.write(out)
  process.exitCode = code
} catch (error) {
  if (!(error instanceof ConfigError)) throw error
  process.stderr.write(`${error.problems.join('\n')}\n`)
  process.exitCode = 1
}
