import { execFile } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { connect } from '@flotilla/client'
import type { RoomEvent } from '@flotilla/client'
import { freePort } from '@flotilla/node/testing/free-port'
import { mainOf, spawnNode } from '../fleet/process.ts'
import type { ServiceName } from '../fleet/process.ts'
import { atEnd } from './setting.ts'
import { until } from '../fleet/until.ts'

const services: readonly ServiceName[] = ['edge', 'shard', 'control', 'ingest']

async function outcome(child: ChildProcess): Promise<{ code: number | null; out: string; err: string }> {
  const texts = { out: '', err: '' }
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (texts.out += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (texts.err += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, ...texts }
}

describe('starting', () => {
  test.each(services)('[E2E4] %s prints its settings with --help', async (service) => {
    const { code, out, err } = await outcome(spawnNode([mainOf(service), '--help'], {}))
    expect({ code, err }).toEqual({ code: 0, err: '' })
    expect(out).toMatch(new RegExp(`^Flotilla \\w+: `))
    for (const name of ['REDIS_URL', 'SLOTS', 'LANES', `${service.toUpperCase()}_ADMIN_PORT`]) {
      expect(out).toContain(`  FLOTILLA_${name}\n`)
    }
  })

  test.each(services)('[E2E4] %s refuses wrong settings, all of them at once and precisely (OP8)', async (service) => {
    const env = {
      FLOTILLA_LANES: 'many',
      FLOTILLA_MEMBER_ID: 'a b',
      FLOTILLA_REDIS_URL: 'redis://:pass-word@127.0.0.1:1',
    }
    const { code, out, err } = await outcome(spawnNode([mainOf(service)], env))
    expect({ code, out }).toEqual({ code: 1, out: '' })
    expect(err).toBe(
      [
        'the configuration is wrong:',
        '  FLOTILLA_LANES: "many" is not accepted; expected integer 1–256',
        '  FLOTILLA_MEMBER_ID: "a b" is not accepted; expected 1–64 letters, digits, dots, dashes or underscores',
        '',
      ].join('\n'),
    )
  })

  test('[E2E4] a policy file that is wrong stops the start, with every mistake; flotilla policy says the same', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'flotilla-e2e-'))
    const path = join(folder, 'policy.yaml')
    await writeFile(path, 'version: 1\ntypes: { deal: { join: evryone }, Chat: {} }\n')
    const mistakes = [
      `${path}: types.deal.join: Invalid option: expected one of "everyone"|"nobody", or Invalid input: expected array, received string`,
      `${path}: types.Chat: is not a room type: lower case letters, digits, - and _`,
    ]
    const settings = {
      FLOTILLA_POLICY_FILE: path,
      FLOTILLA_JWT_SECRET: 'x'.repeat(48),
      FLOTILLA_INGEST_KEYS: 'x'.repeat(16),
    }
    for (const service of ['edge', 'shard', 'ingest'] as const) {
      const env = { ...settings, [`FLOTILLA_${service.toUpperCase()}_ADMIN_PORT`]: String(await freePort()) }
      const { code, err } = await outcome(spawnNode([mainOf(service)], env))
      expect({ code, err }).toEqual({
        code: 1,
        err: `the configuration is wrong:\n${mistakes.map((line) => `  ${line}\n`).join('')}`,
      })
    }
    const checked = await outcome(spawnNode(['packages/cli/bin/flotilla.js', 'policy', 'check', path], {}))
    expect(checked).toEqual({ code: 1, out: '', err: `${mistakes.join('\n')}\n` })
    await rm(folder, { recursive: true })
  })

  test('[E2E5] the all-in-one prints a token and a curl, and the curl makes an event arrive at a socket (OP1)', async () => {
    const env = {
      FLOTILLA_EDGE_PORT: String(await freePort()),
      FLOTILLA_INGEST_PORT: String(await freePort()),
      FLOTILLA_CONTROL_PORT: String(await freePort()),
    }
    const child = spawnNode(['scripts/run.mjs'], env)
    const ended = outcome(child)
    let printed = ''
    child.stdout?.on('data', (text: string) => (printed += text))
    atEnd(() => void child.kill('SIGKILL'))
    const [, url = '', token = '', curl = ''] = await until('it says how to try it', () => {
      const parts = /(ws:\S+)[^]*\n(eyJ\S+)\n[^]*\n(curl .+)\n/.exec(printed)
      return parts ?? undefined
    })

    const client = await connect({ url, token, WebSocket })
    atEnd(() => client.close())
    const events: RoomEvent[] = []
    await client.subscribe('public:lobby', { onEvent: (event) => events.push(event) })
    const { stdout } = await promisify(execFile)('bash', ['-c', curl])
    const answer = JSON.parse(stdout) as { results: { room: string; position: object }[] }
    const event = await until('the event arrives', () => events[0])
    expect(event).toMatchObject({ room: 'public:lobby', event: 'message', data: { text: 'hello from curl' } })
    expect(answer.results).toEqual([{ room: 'public:lobby', position: event.position }])

    const page = await fetch(url.replace('ws:', 'http:').replace('/ws', '/'))
    expect({ status: page.status, type: page.headers.get('content-type') }).toEqual({
      status: 200,
      type: 'text/html; charset=utf-8',
    })
    child.kill('SIGTERM')
    expect(await ended).toMatchObject({ code: 0, err: '' })
  })
})
