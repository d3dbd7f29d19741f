// Loaded into the processes of a fleet in front of their own code (`node --import`): on SIGUSR2 does what the file named
// by FAULTS_HOOK says, `clock <ms>` (the wall clock jumps by so much) or `block <ms>` (the event loop stands still).
// Then writes what its clock says to a file beside it, named by the process's id.
import { readFileSync, writeFileSync } from 'node:fs'

const realNow = Date.now.bind(Date)
const RealDate = Date
let offsetMs = 0

class JumpingDate extends RealDate {
  constructor(...args) {
    super(...(args.length === 0 ? [realNow() + offsetMs] : args))
  }
  static now() {
    return realNow() + offsetMs
  }
}
globalThis.Date = JumpingDate

process.on('SIGUSR2', () => {
  const [what, ms] = readFileSync(process.env.FAULTS_HOOK, 'utf8').trim().split(' ')
  if (what === 'clock') offsetMs = Number(ms)
  if (what === 'block') {
    const until = performance.now() + Number(ms)
    while (performance.now() < until);
  }
  writeFileSync(`${process.env.FAULTS_HOOK}.${process.pid}`, String(Date.now()))
})
