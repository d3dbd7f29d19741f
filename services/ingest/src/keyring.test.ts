import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { createScope } from '@flotilla/node/scope'
import { harness, secret } from '../test/harness.ts'
import { entry, hashOf, ring } from '../test/keyring.ts'
import { openKeys } from './keyring-file.ts'
import { maxKeys, parseKeyring } from './keyring.ts'

const other = 'other-secret-other-secret'
const signingSecret = 'signing-secret-signing-secret-signing'
const text = (...entries: readonly object[]) => JSON.stringify({ keys: entries })

describe('a keyring', () => {
  it('[IN35] the example of docs/ingest.md is one', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/ingest.md'), 'utf8')
    const [known] = parseKeyring(/```yaml\n([^]*?)```/.exec(page)?.[1] ?? '')
    expect(known?.key).toMatchObject({ name: 'crm', limit: { burst: 200 } })
    expect(Object.keys(known?.key ?? {}).toSorted()).toEqual(['id', 'limit', 'name', 'scopes', 'signingSecret'])
  })

  it('[IN35] is YAML, or JSON', () => {
    const yaml = `
keys:
  - id: k1
    name: crm
    hash: ${hashOf(secret)}
    scopes: [publish:deal, tenant:acme] # deals
    notBefore: 2026-01-01T00:00:00Z
    expiresAt: 2027-01-01T00:00:00+01:00
    rate: { perSecond: 0.5, burst: 3 }
    signingSecret: ${signingSecret}
`
    const [known] = parseKeyring(yaml)
    expect(known).toMatchObject({
      key: { id: 'k1', name: 'crm', limit: { perSecond: 0.5, burst: 3 }, signingSecret },
      notBeforeMs: Date.UTC(2026, 0, 1),
      expiresAtMs: Date.UTC(2026, 11, 31, 23),
    })
    expect(ring({}).known[0]).toMatchObject({ key: { limit: null, signingSecret: null }, expiresAtMs: Infinity })
  })

  it.each([
    ['no YAML', `keys: [${secret}`, 'line 1: neither YAML nor JSON'],
    ['no key', '{}', 'keys: '],
    ['an empty list', 'keys: []', 'keys: '],
    ['a hash of another form', text({ ...entry, hash: secret }), 'keys.0.hash: "sha256:" and 64'],
    ['a name of another form', text({ ...entry, name: 'c m' }), 'keys.0.name: letters'],
    ['a field that is none', text({ ...entry, expires: 'x' }), 'keys.0: there is no field expires'],
    ['a key as a field', `${secret}: crm`, 'there is no field [not shown]'],
    ['a scope that is none', text({ ...entry, scopes: ['publish', 'x'] }), 'keys.0.scopes: "x" is no scope'],
    ['a time that is none', text({ ...entry, expiresAt: '2026' }), 'keys.0.expiresAt: a time like'],
    ['a rate of 0', text({ ...entry, rate: { perSecond: 0, burst: 1 } }), 'keys.0.rate.perSecond: '],
    ['a signing secret that is short', text({ ...entry, signingSecret: 'short' }), 'keys.0.signingSecret: '],
    [
      'times the wrong way round',
      text({ ...entry, notBefore: '2026-01-01T00:00:00Z', expiresAt: '2026-01-01T00:00:00Z' }),
      'keys.0: expiresAt',
    ],
    ['an id twice', text(entry, { ...entry, hash: hashOf(other) }), 'keys.1: another key has the id k1'],
    ['a hash twice', text(entry, { ...entry, id: 'k2' }), 'keys.1: another key has this hash'],
    ['two faults', text({ ...entry, id: '' }, { ...entry, name: '' }), 'keys.1.name: '],
    ['too many keys', text(...Array.from({ length: maxKeys + 1 }, () => entry)), 'keys: '],
    ['too many aliases', `a: &a [x]\nkeys: [${'*a, '.repeat(2_000)}]`, 'neither YAML nor JSON (aliases)'],
  ])('[IN35] %s is refused with its place, and nothing secret is in the message', (_name, wrong, message) => {
    expect(() => parseKeyring(wrong)).toThrow(message)
    expect(() => parseKeyring(wrong)).not.toThrow(new RegExp(`${secret}|${hashOf(secret)}`))
  })

  it('[IN37] a key that is unknown, expired or not yet one is answered the same', async () => {
    const past = { expiresAt: new Date(Date.now() - 1).toISOString() }
    const future = { notBefore: new Date(Date.now() + 60_000).toISOString() }
    const answers = []
    for (const { keys } of [ring(past), ring(future), ring({ hash: hashOf(other) })]) {
      const { post, rooms } = await harness({ keys })
      const { status, answer, headers } = await post({ room: 'public:a', event: 'e' })
      answers.push([status, answer, headers.get('www-authenticate')])
      expect(rooms.size).toBe(0)
    }
    expect(answers[0]?.[0]).toBe(401)
    expect(answers).toEqual([answers[0], answers[0], answers[0]])
  })

  it('[IN37] a key that expires is refused on a connection that has shown it', async () => {
    const expiresAtMs = Date.now() + 2_000
    const { keys } = ring({ expiresAt: new Date(expiresAtMs).toISOString() })
    const { post } = await harness({ keys })
    expect((await post({ room: 'public:a', event: 'e' })).status).toBe(202)
    await expect.poll(async () => (await post({ room: 'public:a', event: 'e' })).status, { timeout: 10_000 }).toBe(401)
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAtMs)
  })

  it('[IN37] keys of one name are one publisher: while one replaces the other an id is one event (OP7)', async () => {
    const { keys } = ring({}, { id: 'k2', hash: hashOf(other) })
    const { post, rooms } = await harness({ keys })
    const event = { room: 'public:a', event: 'e', id: 'x' }
    const [old, young] = [await post(event), await post(event, { authorization: `Bearer ${other}` })]
    expect(young.answer).toEqual(old.answer)
    expect(rooms.get('public:a')).toHaveLength(1)
  })
})

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

function fileOf(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'keyring-'))
  folders.push(folder)
  const path = join(folder, 'keys.yaml')
  writeFileSync(path, content)
  return path
}

/** As a whole: nobody reads half of it. */
function replace(path: string, content: string): void {
  writeFileSync(`${path}.new`, content)
  renameSync(`${path}.new`, path)
}

describe('the file of keys', () => {
  it('[IN36] a change is taken, a wrong file is logged once and changes nothing', async () => {
    const path = fileOf(ring({}).text)
    const lines: string[] = []
    const log = createLog({ service: 'ingest', level: 'info', destination: { write: (line) => void lines.push(line) } })
    const scope = createScope(log)
    const metrics = createMetrics({ service: 'ingest' })
    const keys = openKeys({ keys: `env:${'e'.repeat(16)}`, keyring: path })
    keys.watch({ log, scope, metrics, everyMs: 10 })
    const names = () => [secret, other, 'e'.repeat(16)].map((each) => keys.identify(each)?.name)
    const failing = async () =>
      (await metrics.render()).body.match(/flotilla_ingest_keyring_failing\{[^}]*\} (\d)/)?.[1]
    expect(names()).toEqual(['crm', undefined, 'env'])
    const first = keys.identify(secret)
    expect(first !== undefined && keys.holds(first)).toBe(true)

    replace(path, ring({ id: 'k2', name: 'shop', hash: hashOf(other) }).text)
    await expect.poll(names).toEqual([undefined, 'shop', 'env'])
    expect(first !== undefined && keys.holds(first)).toBe(false)

    replace(path, `keys: [{ id: k1, hash: ${secret} }]`)
    await expect.poll(failing).toBe('1')
    rmSync(path)
    await expect.poll(() => lines.filter((line) => line.includes('the keyring is wrong')).length).toBe(2)
    expect(names()).toEqual([undefined, 'shop', 'env'])
    expect(lines.join('')).not.toContain(secret)

    replace(path, ring({}).text)
    await expect.poll(names).toEqual(['crm', undefined, 'env'])
    await expect.poll(failing).toBe('0')
    expect(lines.filter((line) => line.includes('the keyring is wrong')).length).toBe(2)
    await scope.close()
  })

  it('[IN36] what is left of a rate outlives a change of the file', () => {
    const rate = { perSecond: 1, burst: 5 }
    const { known } = ring({ rate })
    const kept = parseKeyring(text({ ...entry, rate, scopes: ['publish'] }), known)
    expect(kept[0]?.key.limit).toBe(known[0]?.key.limit)
    expect(parseKeyring(text({ ...entry, rate: { ...rate, burst: 6 } }), known)[0]?.key.limit).not.toBe(
      known[0]?.key.limit,
    )
  })

  it('[IN36] a process does not start with a file that is wrong or missing', () => {
    const path = fileOf('keys: 1')
    expect(() => openKeys({ keys: null, keyring: path })).toThrow(`FLOTILLA_INGEST_KEYRING: ${path}: keys: `)
    expect(() => openKeys({ keys: null, keyring: `${path}.none` })).toThrow('FLOTILLA_INGEST_KEYRING: ENOENT')
    expect(() => openKeys({ keys: null, keyring: null })).toThrow('nobody could post')
    expect(openKeys({ keys: null, keyring: fileOf(ring({}).text) }).identify(secret)?.id).toBe('k1')
  })
})

describe('npm run key', () => {
  const script = join(import.meta.dirname, '../../../scripts/key.mjs')
  const run = (...args: readonly string[]) => spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' })

  it('[IN39] makes a key and prints the entry of the keyring that knows it', () => {
    const made = run('--name', 'crm', '--scopes', 'publish:deal, tenant:acme', '--days', '2', '--rate', '5', '--sign')
    const key = /^key: (\S+)$/m.exec(made.stderr)?.[1] ?? ''
    const signing = /^signing secret: (\S+)$/m.exec(made.stderr)?.[1]
    const keys = openKeys({ keys: null, keyring: fileOf(`keys:\n${made.stdout}`) })
    expect(key.length).toBeGreaterThan(43)
    expect(keys.identify(key)).toMatchObject({
      name: 'crm',
      limit: { perSecond: 5, burst: 10 },
      signingSecret: signing,
    })
    const [known] = parseKeyring(`keys:\n${made.stdout}`)
    expect(known?.expiresAtMs).toBeGreaterThan(Date.now() + 86_400_000)
    expect(made.stdout).not.toContain(key)
    expect(run('--name', 'crm', '--scopes', 'publish').stdout).not.toContain(made.stdout.slice(0, 20))
  })

  it('[IN39] refuses what would be no entry', () => {
    for (const args of [
      [],
      ['--name', 'crm'],
      ['--name', 'crm', '--scopes', 'x'],
      ['--name', 'c m', '--scopes', 'publish'],
      ['--name', 'crm', '--scopes', 'publish', '--days', '0'],
    ]) {
      const { status, stdout, stderr } = run(...args)
      expect([status, stdout, stderr === '']).toEqual([2, '', false])
    }
    expect(execFileSync(process.execPath, [script, '--help'], { encoding: 'utf8' })).toContain('--scopes')
  })
})
