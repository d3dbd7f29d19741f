import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decide } from '@flotilla/core/policy'
import { defaultPolicy } from '@flotilla/core/policy-default'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Log } from './log.ts'
import { createMetrics } from './metrics.ts'
import { openPolicy } from './policy.ts'
import { createScope } from './scope.ts'
import type { Scope } from './scope.ts'

const said: { level: string; text: string }[] = []
const say = (level: string) => (text: string) => void said.push({ level, text })
const log = { info: say('info'), warn: say('warn'), error: say('error'), debug: say('debug') } as unknown as Log

let folder = ''
let scope: Scope
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flotilla-policy-'))
  scope = createScope(log)
  said.length = 0
})
afterEach(async () => {
  await scope.close()
  await rm(folder, { recursive: true })
})

const open = (path: string | null) =>
  openPolicy(path, { log, scope, metrics: createMetrics({ service: 'test' }), everyMs: 5 })
const may = (policy: typeof defaultPolicy): boolean =>
  decide(policy, { identity: { userId: '42', tenantId: 'acme' }, room: 'deal:acme:7', action: 'join' }).allow

const yes = 'version: 1\ntypes:\n  deal: { join: everyone }\n'
const no = 'version: 1\ntypes:\n  deal: { join: nobody }\n'

test('[PF7] a file that changes is taken; one that is wrong is told once, and the one before holds on', async () => {
  const path = join(folder, 'policy.yaml')
  await writeFile(path, yes)
  const source = await open(path)
  const taken: boolean[] = []
  source.onChange((policy) => taken.push(may(policy)))
  /** What is said of a file with this text; null: no file. */
  const becomes = async (text: string | null, level: string): Promise<void> => {
    said.length = 0
    // At once, as editors and ConfigMaps have it: one that is half written would be wrong too.
    await (text === null ? rm(path) : writeFile(`${path}.new`, text).then(() => rename(`${path}.new`, path)))
    await vi.waitFor(() => expect(said.map((each) => each.level)).toEqual([level]), { timeout: 10_000, interval: 5 })
  }
  expect(may(source.current)).toBe(true)
  await becomes(no, 'info')
  expect([may(source.current), taken]).toEqual([false, [false]])
  await becomes(`${yes}  chat: [`, 'error')
  await becomes(null, 'error')
  await becomes('version: 2', 'error')
  expect([may(source.current), taken]).toEqual([false, [false]])
  await becomes(yes, 'info')
  expect([may(source.current), taken]).toEqual([true, [false, true]])
})

test('[PF8] without a file the default policy holds', async () => {
  expect((await open(null)).current).toBe(defaultPolicy)
})

test.each([
  ['not there', null, /policy\.yaml cannot be read: ENOENT/],
  ['not YAML', 'version: 1\ntypes: [', /policy\.yaml: .*line 2/],
  ['a key twice', 'version: 1\nversion: 1\n', /Map keys must be unique at line 2/],
  ['a wrong key', 'version: 1\ntypes: { deal: { joins: everyone } }', /types\.deal: Unrecognized key: "joins"/],
  ['nothing', '', /the policy: Invalid input/],
  ['much out of little', bomb(), /policy\.yaml: .*alias/i],
])('[PF8] a file that is %s stops the start, with the reason', async (_, text, reason) => {
  const path = join(folder, 'policy.yaml')
  if (text !== null) await writeFile(path, text)
  await expect(open(path)).rejects.toThrow(reason)
})

/** Each line repeats the one before ten times. */
function bomb(): string {
  const lines = ['a0: &a0 [x]']
  for (let i = 1; i <= 8; i += 1)
    lines.push(`a${i}: &a${i} [${Array.from({ length: 10 }, () => `*a${i - 1}`).join(', ')}]`)
  return lines.join('\n')
}
