import { describe, expect, test } from 'vitest'
import { createLog, redactUrl } from './log.ts'
import type { Log, LogLevel } from './log.ts'

interface Captured {
  readonly log: Log
  readonly text: () => string
  readonly lines: () => Record<string, unknown>[]
}

function capture(level: LogLevel = 'debug'): Captured {
  let text = ''
  const log = createLog({ service: 'edge', level, destination: { write: (line) => void (text += line) } })
  return {
    log,
    text: () => text,
    lines: () =>
      text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
  }
}

const canary = 'canary-5f1d'

describe('log', () => {
  test('[LG1] a line is JSON with level, time, service, message and fields', () => {
    const { log, lines } = capture()
    log.child({ room: 'chat:1' }).warn('slow', { latencyMs: 420 })
    expect(lines()).toEqual([
      {
        level: 'warn',
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        service: 'edge',
        room: 'chat:1',
        latencyMs: 420,
        msg: 'slow',
      },
    ])
  })

  test('[LG1] lines below the level are not written', () => {
    const { log, text } = capture('error')
    log.debug('a')
    log.info('b')
    log.warn('c')
    expect(text()).toBe('')
    log.error('d')
    expect(text()).toContain('"msg":"d"')
  })

  test('[LG1] a field cannot forge level, time, service or message', () => {
    const { log, text, lines } = capture()
    log.info('real', { level: 'error', time: 'never', service: 'other', msg: 'forged' })
    expect(lines()[0]).toMatchObject({ level: 'info', service: 'edge', msg: 'real', msg_: 'forged', level_: 'error' })
    expect(text().match(/"level":/g)).toHaveLength(1)
  })

  test('[LG1] a message cannot break out of its line', () => {
    const { log, text } = capture()
    log.info('one\n{"level":"fatal"}')
    expect(text().trim().split('\n')).toHaveLength(1)
  })

  test.each([
    'token',
    'Authorization',
    'PASSWORD',
    'secret',
    'jwt',
    'cookie',
    'Set-Cookie',
    'sec-websocket-protocol',
    'jwtSecret',
    'access_token',
    'x-api-key',
    'FLOTILLA_JWT_SECRET',
    'ticket',
  ])('[LG2] the value of %s is never written, at any depth (LM4)', (key) => {
    const { log, text } = capture()
    log.info('top', { [key]: canary })
    log.info('deep', { request: { headers: [{ [key]: { nested: canary } }] } })
    log.child({ [key]: [canary] }).info('child')
    log.error('error', { err: Object.assign(new Error('failed'), { [key]: canary }) })
    log.info('map', { headers: new Map([[key, canary]]) })
    expect(text()).not.toContain(canary)
    expect(text()).toContain('[redacted]')
  })

  test('[LG2] keys that only look alike are written', () => {
    const { log, lines } = capture()
    log.info('x', { tokenId: 'a', tokens: 3, secretary: 'b' })
    expect(lines()[0]).toMatchObject({ tokenId: 'a', tokens: 3, secretary: 'b' })
  })

  test.each([
    ['redis://:canary-5f1d@cache:6379/0', 'redis://:***@cache:6379/0'],
    ['rediss://app:canary-5f1d@cache', 'rediss://app:***@cache'],
    ['redis://app:canary-5f1d/with@both@cache', 'redis://app:***@cache'],
    ['https://canary-5f1d@host/path', 'https://***@host/path'],
    ['wss://h/ws?room=a&token=canary-5f1d&x=1#y', 'wss://h/ws?room=a&token=***&x=1#y'],
    ['/ws?ACCESS_TOKEN=canary-5f1d', '/ws?ACCESS_TOKEN=***'],
    ['GET /ws?token=canary-5f1d HTTP/1.1', 'GET /ws?token=*** HTTP/1.1'],
    ['bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln', 'bearer ***'],
    ['https://host/a?email=a@b.example', 'https://host/a?email=a@b.example'],
    ['plain text', 'plain text'],
  ])('[LG3] redactUrl(%s)', (text, clean) => {
    expect(redactUrl(text)).toBe(clean)
  })

  test('[LG3] messages, fields and errors with cause and stack are clean (LM4)', () => {
    const { log, text } = capture()
    const url = `redis://:${canary}@cache:6379`
    log.error(`cannot reach ${url}`, { url, at: new URL(url), err: new Error(`at ${url}`, { cause: new Error(url) }) })
    expect(text()).not.toContain(canary)
    expect(text()).toContain('cache:6379')
    expect(text()).toContain('log.test')
  })

  test('[LG3] a secret across the cut of a long text is cut out', () => {
    const { log, text } = capture()
    log.info(`${'a'.repeat(4_080)} redis://:${canary}@cache`)
    expect(text()).not.toContain('canary')
  })

  test('[LG4] cycles, bigints, buffers, dates and throwing getters are harmless', () => {
    const { log, lines } = capture()
    const cycle: Record<string, unknown> = {
      big: 12n,
      bytes: Buffer.from(canary),
      bad: new Date(Number.NaN),
      set: new Set([1]),
    }
    cycle['self'] = cycle
    log.info('odd', { cycle, nothing: null, at: new Date(0) })
    log.info('trap', {
      get trap() {
        throw new Error('trap')
      },
    })
    expect(lines()[0]).toMatchObject({
      cycle: { big: '12', bytes: '[11 bytes]', bad: 'invalid date', set: [1] },
      nothing: null,
    })
    expect(lines()[1]).toMatchObject({ msg: 'trap', fields: '[unreadable]' })
  })

  test('[LG4] what a line carries is bounded, also when lists multiply', () => {
    const { log, text } = capture()
    const nest = (depth: number): unknown => (depth === 0 ? 'leaf' : Array.from({ length: 20 }, () => nest(depth - 1)))
    log.info('x'.repeat(1_000_000), { nested: nest(4), texts: ['y'.repeat(1_000_000)] })
    expect(text().length).toBeLessThan(50_000)
  })
})
