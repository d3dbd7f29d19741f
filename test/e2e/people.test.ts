import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

test('[E2E31] no two have a lock at a time, also when its worker is killed (RM5); nobody who is dead is a member after 15 s, and who comes back never left (EV5)', async () => {
  const command = ['loadtests/people.mjs', '--seconds', '15', '--members', '30']
  // It ends with 1 when one of its bars was not held.
  const { stdout } = await promisify(execFile)(process.execPath, command, { maxBuffer: 16_777_216 })
  expect(stdout).toContain('two had one at a time')
})
