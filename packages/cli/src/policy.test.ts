import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { defaultPolicyFile } from '@flotilla/core/policy-default'
import { parsePolicy, policySchema } from '@flotilla/core/policy-file'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { policyCommand } from './policy.ts'

const root = new URL('../../../', import.meta.url)
const page = readFileSync(new URL('docs/policy.md', root), 'utf8')
const shown = Array.from(page.matchAll(/```yaml policy\n([^]*?)```/g), ([, text = '']) => parse(text) as unknown)

test('[PF5] docs/policy.md shows the default policy, and every policy there is good', () => {
  expect(shown.length).toBeGreaterThan(1)
  expect(shown[0]).toEqual(defaultPolicyFile)
  for (const file of shown) expect(parsePolicy(file)).toMatchObject({ ok: true })
})

test('[PF6] docs/policy.schema.json is the schema of the code', async () => {
  const file: unknown = JSON.parse(readFileSync(new URL('docs/policy.schema.json', root), 'utf8'))
  expect(file, 'run: make docs').toEqual(JSON.parse(JSON.stringify(policySchema())))
  const { out, code } = await policyCommand(['schema'])
  expect([JSON.parse(out), code]).toEqual([file, 0])
})

test('[PF9] the commands of docs/policy.md do what it says', async () => {
  mkdirSync(new URL('out', root), { recursive: true })
  const [, block = ''] = /```sh\n([^]*?)```/.exec(page) ?? []
  const commands = block
    .trim()
    .split('\n')
    .map((line) => line.replace('npx flotilla policy ', ''))
  expect(commands).toHaveLength(5)
  const outcomes = []
  for (const line of commands) {
    const [command = '', target] = line.split(' > ')
    const outcome = await policyCommand(
      command.split(' ').map((word) => word.replace('out/', new URL('out/', root).pathname)),
    )
    if (target !== undefined) writeFileSync(new URL(target, root), outcome.out)
    outcomes.push(outcome)
  }
  expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0])
  expect(outcomes[1]?.out).toMatch(/policy\.yaml is good: 13 types, 1 rooms, other types have a policy too\n/)
  expect(outcomes[2]?.out).toBe('allowed: 42 of acme may join deal:acme:7\n  types.deal.join[0]: holds\n')
})

test('[PF9] who may not is told which condition lacks what', async () => {
  const ask = (line: string) => policyCommand(['test', ...line.split(' ')])
  expect(await ask('--user 42 --tenant acme join deal:other:7')).toEqual({
    out: 'FORBIDDEN: 42 of acme may not join deal:other:7\n  types.deal.join[0]: the room is of another tenant\n',
    code: 1,
  })
  expect(await ask('--user 42 --tenant acme --permission tenant.publish publish tenant:acme hello')).toMatchObject({
    code: 0,
  })
  expect(await ask('--user 42 --tenant acme publish tenant:acme hello')).toEqual({
    out: 'FORBIDDEN: 42 of acme may not publish tenant:acme with hello\n  types.tenant.publish[0]: none of the permissions tenant.publish\n',
    code: 1,
  })
  expect((await ask('--user 42 join user:42')).out).toContain('every connection of this user is put into it by itself')
})

test('[PF9] what a connection without a token may is told too (CN4)', async () => {
  const ask = (line: string) => policyCommand(['test', '--anonymous', ...line.split(' ')])
  expect(await ask('join public:all')).toEqual({
    out: [
      'allowed: an anonymous connection may join public:all',
      '  rooms.public:all.join[0]: the connection is anonymous, and the condition does not name that role',
      '  rooms.public:all.join[1]: holds',
      '  every such connection is put into it by itself',
      '',
    ].join('\n'),
    code: 0,
  })
  expect(await ask('publish public:lobby hello')).toMatchObject({ code: 1 })
})

test.each([
  [[]],
  [['nothing']],
  [['check']],
  [['test', 'enter', 'deal:acme:7']],
  [['test', 'join']],
  [['test', '--usr', '42', 'join', 'user:42']],
  [['test', 'join', 'user:42', 'event']],
  [['test', '--anonymous', '--user', '42', 'join', 'user:42']],
])('[PF9] a command that is wrong is answered with how it is used: %j', async (args) => {
  const { out, code } = await policyCommand(args)
  expect([code, out.includes('flotilla policy check FILE')]).toEqual([2, true])
})

test('[HK26] where a hook is asked the answer says so, and is not a yes (RM3)', async () => {
  const hooks = readFileSync(new URL('docs/hooks.md', root), 'utf8')
  const [, policy = ''] = /```yaml hooks\n([^]*?)```/.exec(hooks) ?? []
  mkdirSync(new URL('out', root), { recursive: true })
  const path = new URL('out/hooks.yaml', root).pathname
  writeFileSync(path, policy)
  const ask = (line: string) => policyCommand(['test', '--policy', path, ...line.split(' ')])
  expect(await ask('--user 42 --tenant acme join project:acme:7')).toEqual({
    out: [
      'asked: 42 of acme may join project:acme:7 if the hook members says so',
      '  types.project.join[0]: none of the roles ADMIN',
      '  types.project.join[1]: holds if the hook members says so',
      '',
    ].join('\n'),
    code: 1,
  })
  expect((await ask('--user 42 --tenant acme --role ADMIN join project:acme:7')).code).toBe(0)
})
