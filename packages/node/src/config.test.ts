import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, expectTypeOf, test } from 'vitest'
import {
  ConfigError,
  boolean,
  defineConfig,
  durationMs,
  integer,
  list,
  namesOf,
  oneOf,
  optional,
  parseConfig,
  renderHelp,
  renderMarkdown,
  secret,
  someOf,
  text,
  url,
} from './config.ts'
import type { Environment, ParseOptions } from './config.ts'

const table = defineConfig({
  port: integer('FLOTILLA_EDGE_PORT', {
    default: 8080,
    min: 0,
    max: 65535,
    unit: 'port',
    description: 'Where clients connect.',
  }),
  redis: url('FLOTILLA_REDIS_URL', { protocols: ['redis:', 'rediss:'], description: 'The store.' }),
  name: optional(
    text('FLOTILLA_NAME', { maxLength: 8, pattern: { regex: /^[a-z]+$/, saying: 'a–z, ≤ 8' }, description: 'A name.' }),
  ),
  deflate: boolean('FLOTILLA_DEFLATE', { default: false, description: 'Compress.' }),
  origins: list('FLOTILLA_ORIGINS', { default: [], maxItems: 3, description: 'Allowed | origins.' }),
  level: oneOf('FLOTILLA_LOG_LEVEL', { values: ['info', 'debug'], default: 'info', description: 'Least level.' }),
  jwt: secret('FLOTILLA_JWT_SECRET', {
    default: 'canary-default-canary-default-ca',
    minBytes: 32,
    description: 'Signs.',
  }),
  drain: durationMs('FLOTILLA_DRAIN_MS', {
    default: 30_000,
    min: 1_000,
    max: 7_200_000,
    description: 'Time to drain.',
  }),
})

const minimal = { FLOTILLA_REDIS_URL: 'redis://localhost:6379' }

function problems(env: Environment, options?: ParseOptions): readonly string[] {
  try {
    parseConfig(table, env, options)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}
const problem = (name: string, value: string): string => problems({ ...minimal, [name]: value }).join('\n')

describe('config', () => {
  test('[CF1] defaults and values become one typed object', () => {
    const config = parseConfig(table, { ...minimal, FLOTILLA_EDGE_PORT: '0', FLOTILLA_NAME: 'blue' })
    expect(config).toEqual({
      port: 0,
      redis: 'redis://localhost:6379',
      name: 'blue',
      deflate: false,
      origins: [],
      level: 'info',
      jwt: 'canary-default-canary-default-ca',
      drain: 30_000,
    })
    expectTypeOf(config).toEqualTypeOf<{
      readonly port: number
      readonly redis: string
      readonly name: string | null
      readonly deflate: boolean
      readonly origins: readonly string[]
      readonly level: 'info' | 'debug'
      readonly jwt: string
      readonly drain: number
    }>()
  })

  test('[CF1] empty is not set: the default counts, or the setting is missing', () => {
    expect(parseConfig(table, { ...minimal, FLOTILLA_EDGE_PORT: '', FLOTILLA_NAME: '' })).toMatchObject({
      port: 8080,
      name: null,
    })
    expect(problems({ FLOTILLA_REDIS_URL: '' })).toEqual([
      'FLOTILLA_REDIS_URL: not set; expected URL with redis: or rediss:',
    ])
  })

  test('[CF2] all problems are told at once, precisely (OP8)', () => {
    const env = { FLOTILLA_EDGE_PORT: '65536', FLOTILLA_DEFLATE: 'maybe', FLOTILLA_LOG_LEVEL: 'loud' }
    expect(problems(env)).toEqual([
      'FLOTILLA_EDGE_PORT: "65536" is not accepted; expected integer 0–65535 (port)',
      'FLOTILLA_REDIS_URL: not set; expected URL with redis: or rediss:',
      'FLOTILLA_DEFLATE: "maybe" is not accepted; expected `true` or `false` (also yes/no, on/off, 1/0)',
      'FLOTILLA_LOG_LEVEL: "loud" is not accepted; expected one of `info`, `debug`',
    ])
    expect(() => parseConfig(table, env)).toThrow(
      /the configuration is wrong:\n {2}FLOTILLA_EDGE_PORT: .*\n {2}FLOTILLA_REDIS_URL/,
    )
  })

  test('[CF2] secrets and passwords are not shown', () => {
    expect(problem('FLOTILLA_JWT_SECRET', 'canary')).toBe(
      'FLOTILLA_JWT_SECRET: [redacted] is not accepted; expected secret of ≥ 32 bytes',
    )
    expect(problem('FLOTILLA_REDIS_URL', 'http://user:canary@cache')).toContain('"http://user:***@cache"')
  })

  test.each(['0', '65535', ' 80 '])('[CF3] integer %j is taken', (value) => {
    expect(problem('FLOTILLA_EDGE_PORT', value)).toBe('')
  })

  test.each(['-1', '65536', '1.5', '1e3', '0x50', 'abc', ' ', '9'.repeat(400), '٣'])(
    '[CF3] integer %j is refused',
    (value) => {
      expect(problem('FLOTILLA_EDGE_PORT', value)).toMatch(/^FLOTILLA_EDGE_PORT: .* is not accepted/)
    },
  )

  test.each([
    ['1000', 1_000],
    ['1500ms', 1_500],
    ['5s', 5_000],
    ['2m', 120_000],
    ['2h', 7_200_000],
  ])('[CF3] duration %s is %i ms', (value, ms) => {
    expect(parseConfig(table, { ...minimal, FLOTILLA_DRAIN_MS: value }).drain).toBe(ms)
  })

  test.each(['999', '3h', '1.5s', '5 s', '5d', '-5s'])('[CF3] duration %j is refused', (value) => {
    expect(problem('FLOTILLA_DRAIN_MS', value)).toContain('is not accepted; expected duration 1000–7200000 ms')
  })

  test.each([
    ['true', true],
    ['YES', true],
    ['on', true],
    ['1', true],
    ['false', false],
    ['No', false],
    ['off', false],
    ['0', false],
  ])('[CF4] switch %s is %s', (value, flag) => {
    expect(parseConfig(table, { ...minimal, FLOTILLA_DEFLATE: value }).deflate).toBe(flag)
  })

  test('[CF4] lists are split, trimmed and bounded; texts keep to their form', () => {
    expect(parseConfig(table, { ...minimal, FLOTILLA_ORIGINS: ' a, b,,c ' }).origins).toEqual(['a', 'b', 'c'])
    expect(problem('FLOTILLA_ORIGINS', 'a,b,c,d')).toContain('≤ 3 items')
    expect(problem('FLOTILLA_NAME', 'abcdefghi')).toContain('expected a–z, ≤ 8')
    expect(problem('FLOTILLA_NAME', 'A')).toContain('expected a–z, ≤ 8')
    expect(problem('FLOTILLA_DEFLATE', 'constructor')).toContain('is not accepted')
  })

  test('[CF4] of some words each is taken once, in the order given; a list may need items, and short ones', () => {
    const lists = defineConfig({
      from: someOf('FLOTILLA_FROM', { values: ['a', 'b', 'c'], default: ['a', 'b'], description: 'Where from.' }),
      names: list('FLOTILLA_NAMES', {
        ...{ default: ['x'], minItems: 1, maxItems: 2, maxLength: 3 },
        description: 'Names.',
      }),
    })
    expect(parseConfig(lists, {})).toEqual({ from: ['a', 'b'], names: ['x'] })
    const env = { FLOTILLA_FROM: ' c,,a ', FLOTILLA_NAMES: 'abc, d' }
    expect(parseConfig(lists, env)).toEqual({ from: ['c', 'a'], names: ['abc', 'd'] })
    for (const from of [',', 'a,d', 'a,b,a', 'A']) {
      expect(() => parseConfig(lists, { FLOTILLA_FROM: from })).toThrow(
        `FLOTILLA_FROM: "${from}" is not accepted; expected comma-separated list of one or more of \`a\`, \`b\`, \`c\`, each once`,
      )
    }
    for (const names of [',', 'a,b,c', 'abcd']) {
      expect(() => parseConfig(lists, { FLOTILLA_NAMES: names })).toThrow(
        `FLOTILLA_NAMES: "${names}" is not accepted; expected comma-separated list, 1–2 items of ≤ 3 characters`,
      )
    }
  })

  test('[CF5] a secret comes from the file that is named, without its last line break', () => {
    const folder = mkdtempSync(join(tmpdir(), 'config-'))
    try {
      const path = join(folder, 'secret')
      writeFileSync(path, `${'s'.repeat(31)} \n`)
      expect(parseConfig(table, { ...minimal, FLOTILLA_JWT_SECRET_FILE: path }).jwt).toBe(`${'s'.repeat(31)} `)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('[CF5] both ways at once, an empty file, an unreadable one and a bad secret in it are problems', () => {
    const from = (content: string): ParseOptions => ({ readFile: () => content })
    const file = { ...minimal, FLOTILLA_JWT_SECRET_FILE: '/run/secrets/jwt' }
    const both = problems({ ...file, FLOTILLA_JWT_SECRET: 's'.repeat(32) }, from('x'))
    expect(both).toEqual(['FLOTILLA_JWT_SECRET: set together with FLOTILLA_JWT_SECRET_FILE; expected one'])
    expect(problems(file, from('\n'))[0]).toContain('is empty')
    expect(problems(file, from('canary'))[0]).toContain('[redacted] is not accepted')
    const broken = problems(file, {
      readFile: () => {
        throw new Error('no such file')
      },
    })
    expect(broken[0]).toContain('"/run/secrets/jwt" cannot be read (no such file)')
  })

  test('[CF6] an unknown name is a problem with the nearest known one, if all names are given', () => {
    const env = { ...minimal, FLOTILLA_EGDE_PORT: '1', FLOTILLA_SHARD_PORT: '2', FLOTILLA_JWT_SECRET_FILE: '' }
    expect(problems(env)).toEqual([])
    expect(problems(env, { knownNames: ['FLOTILLA_SHARD_PORT'] })).toEqual([
      'FLOTILLA_EGDE_PORT: no such setting; the nearest is FLOTILLA_EDGE_PORT',
    ])
    expect(namesOf(table)).toEqual(expect.arrayContaining(['FLOTILLA_JWT_SECRET', 'FLOTILLA_JWT_SECRET_FILE']))
  })

  test('[CF6] what Kubernetes sets for Services is left alone, and explained where it hides a setting', () => {
    const links = {
      FLOTILLA_CONTROL_SERVICE_HOST: '10.0.0.7',
      FLOTILLA_CONTROL_SERVICE_PORT: '8080',
      FLOTILLA_CONTROL_SERVICE_PORT_HTTP: '8080',
      FLOTILLA_CONTROL_PORT: 'tcp://10.0.0.7:8080',
      FLOTILLA_CONTROL_PORT_8080_TCP: 'tcp://10.0.0.7:8080',
      FLOTILLA_CONTROL_PORT_8080_TCP_ADDR: '10.0.0.7',
    }
    expect(problems({ ...minimal, ...links }, { knownNames: [] })).toEqual([])
    expect(problem('FLOTILLA_EDGE_PORT', 'tcp://10.0.0.7:8080')).toContain('enableServiceLinks: false')
  })

  test('[CF7] help and documentation come from the table and show no secret', () => {
    const help = renderHelp(table)
    expect(help).toContain(
      '  FLOTILLA_EDGE_PORT\n      Where clients connect.\n      integer 0–65535; default: 8080 port\n',
    )
    expect(help).toContain('or FLOTILLA_JWT_SECRET_FILE; default: (hidden)')
    expect(help).toContain('URL with redis: or rediss:; default: (required)\n')
    const page = renderMarkdown(table)
    expect(page).toContain('| `FLOTILLA_EDGE_PORT` | integer 0–65535 | `8080` | port | Where clients connect. |\n')
    expect(page).toContain(
      '| `FLOTILLA_ORIGINS` | comma-separated list, ≤ 3 items | `(empty)` |  | Allowed \\| origins. |\n',
    )
    expect(page).toContain('| `FLOTILLA_NAME` | a–z, ≤ 8 | `(unset)` |')
    expect(page.split('\n')).toHaveLength(2 + Object.keys(table).length + 1)
    expect(help + page).not.toContain('canary')
  })

  test('[CF8] a table that contradicts itself is refused', () => {
    const flag = boolean('FLOTILLA_A', { description: '' })
    expect(() => defineConfig({ a: flag, b: flag })).toThrow('declared twice')
    expect(() => defineConfig({ a: boolean('PORT', { description: '' }) })).toThrow('not of the form')
  })
})
