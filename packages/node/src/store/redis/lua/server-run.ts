import { runFunction, script } from './script.ts'

/** server-run. KEYS, ARGV: none. Returns: run. */
export const serverRun = script('server-run', 'reads', `${runFunction}\nreturn { run() }`)
