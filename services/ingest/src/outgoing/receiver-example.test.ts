import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'yaml'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { parsePolicy } from '@flotilla/core/policy-file'
import { freePort } from '@flotilla/node/testing/free-port'
import { signatureHeader, signedHeader } from '@flotilla/node/signed-header'
import { webhooksFile } from './webhook-file.ts'

const page = readFileSync(new URL('../../../../docs/webhooks.md', import.meta.url), 'utf8')
/** The block of the page whose fence says so. */
const blockOf = (fence: string): string => new RegExp(`\`\`\`${fence}\\n([^]*?)\`\`\``).exec(page)?.[1] ?? ''

const secret = 'change-me-change-me'
let folder = ''
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'receiver-'))))
afterEach(() => rmSync(folder, { recursive: true }))

it('[WH12] the policy and the webhooks of the page are taken', () => {
  const parsed = parsePolicy(parse(blockOf('yaml outgoing')))
  expect(parsed.ok && parsed.policy.outgoing?.events.size).toBe(8)
  expect(webhooksFile.parse(parse(blockOf('yaml webhooks'))).webhooks).toMatchObject([
    { batch: 100, timeoutMs: 10_000, giveUpAfterMs: 86_400_000 },
  ])
})

it('[WH12] the receiver of the page takes what is signed, each event once, and nothing else', async () => {
  const path = join(folder, 'receiver.mjs')
  writeFileSync(path, blockOf('js receiver'))
  const port = await freePort()
  const env = { ...process.env, WEBHOOK_SECRET: secret, PORT: String(port) }
  const child = spawn(process.execPath, [path], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    const send = async (body: string, header: string): Promise<number> => {
      const headers = { [signatureHeader]: header }
      return (await fetch(`http://127.0.0.1:${port}/events`, { method: 'POST', headers, body })).status
    }
    const body = JSON.stringify({ webhook: 'crm', events: [{ id: 'a' }, { id: 'b' }] })
    const now = Date.now()
    await expect.poll(() => send(body, 'none').catch(() => 0), { timeout: 10_000 }).toBe(401)
    const statuses = [
      await send(body, signedHeader([secret], body, now)),
      await send(body, signedHeader(['another', secret], body, now)),
      await send(`${body} `, signedHeader([secret], body, now)),
      await send(body, signedHeader(['another'], body, now)),
      await send(body, signedHeader([secret], body, now - 301_000)),
      await send(body, 't=x,v1=00'),
      await send(body, ''),
    ]
    expect(statuses).toEqual([204, 204, 401, 401, 401, 401, 401])
    await expect.poll(() => output.trim().split('\n'), { timeout: 5_000 }).toEqual(['{"id":"a"}', '{"id":"b"}'])
  } finally {
    child.kill('SIGKILL')
  }
})
