import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parsePolicy } from '@flotilla/core/policy-file'
import type { Policy } from '@flotilla/core/policy'
import { fixedPolicy } from '@flotilla/node/policy'
import { freePort } from '@flotilla/node/testing/free-port'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parse } from 'yaml'
import { Client, token, until, useReadyEdge } from '../../test/fleet.ts'

const page = readFileSync(new URL('../../../../docs/hooks.md', import.meta.url), 'utf8')
const blocksOf = (fence: string): string[] =>
  Array.from(page.matchAll(new RegExp(`\`\`\`${fence}\\n([^]*?)\`\`\``, 'g')), ([, block]) => block ?? '')

const secret = 'change-me-change-me'
const ready = useReadyEdge()
let folder = ''
let port = 0
let stop = (): void => {}

beforeAll(async () => {
  process.env['HOOK_SECRET'] = secret
  folder = mkdtempSync(join(tmpdir(), 'service-'))
  const path = join(folder, 'service.mjs')
  writeFileSync(path, blocksOf('js service').join(''))
  port = await freePort()
  const child = spawn(process.execPath, [path], {
    env: { ...process.env, HOOK_SECRET: secret, PORT: String(port) },
    stdio: 'inherit',
  })
  stop = () => void child.kill('SIGKILL')
  const status = async (): Promise<number> => (await fetch(`http://127.0.0.1:${port}/`, { method: 'POST' })).status
  await until('the service listens', async () => (await status().catch(() => 0)) === 401)
})
afterAll(() => {
  stop()
  rmSync(folder, { recursive: true })
})

function policyOf(text: string): Policy {
  const parsed = parsePolicy(parse(text.replaceAll(':9000', `:${port}`)))
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'))
  return parsed.policy
}

it('[HK24] the policy and the service of the page answer for connections, rooms and calls', async () => {
  const [first = '', ...others] = blocksOf('yaml hooks')
  for (const other of others) expect(policyOf(other).types.size).toBe(1)
  const edge = await ready.fleet.edge({}, fixedPolicy(policyOf(first)))
  await until('a plan is there', () => edge.ready)
  const open = async (sub: string): Promise<Client> => {
    const client = new Client(edge.port, { headers: { authorization: `Bearer ${token(sub)}` } })
    await until('it is connected', () => client.of('connected').length > 0)
    return client
  }
  const [member, stranger] = [await open('42'), await open('43')]
  expect(member.of('connected')).toMatchObject([{ rooms: ['user:42', 'project:acme:7'], data: { plan: 'gold' } }])
  const note = { type: 'publish', room: 'project:acme:7', event: 'note', data: 1 }
  expect(await member.ask(note)).toMatchObject({ type: 'ok' })
  expect(await stranger.ask(note)).toMatchObject({ code: 'FORBIDDEN' })
  expect(await member.ask({ type: 'subscribe', room: 'project:acme:8' })).toMatchObject({ code: 'FORBIDDEN' })
  member.send({ type: 'call', id: 1, method: 'billing.total', params: { invoice: 7 } })
  await until('it is answered', () => member.of('result').length > 0)
  expect(member.of('result')).toEqual([{ type: 'result', id: 1, data: { invoice: 7, total: 12 } }])
  member.send({ type: 'call', id: 2, method: 'billing.other', params: null })
  await until('it is answered', () => member.of('error').some(({ id }) => id === 2))
  expect(member.of('error').at(-1)).toMatchObject({ code: 'CALL_REFUSED', reason: 'NO_SUCH_METHOD' })
})
