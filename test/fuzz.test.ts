import { describe, expect, test } from 'vitest'
import { closeCodes, errorCodes } from '@flotilla/core/codes'
import { answerFault } from '../loadtests/fuzz/answers.mjs'
import { closeFault, faultOf, mark } from '../loadtests/fuzz/judge.mjs'
import { memoryOf } from '../loadtests/fuzz/report.mjs'
import { smallest } from '../loadtests/fuzz/shrink.mjs'

const meta = { userId: 'fuzz-1', timestamp: '2027-01-15T08:00:00.000Z' }
const event = (room: string, more: object = {}): object => ({
  type: 'event',
  room,
  seq: 1,
  event: 'e',
  data: 1,
  meta,
  ...more,
})
const faultIn = (frame: unknown, userId: string | undefined = 'fuzz-0'): string | undefined =>
  faultOf(typeof frame === 'string' ? frame : JSON.stringify(frame), { userId, seen: () => undefined })

describe('what the fuzzer takes for a fault', () => {
  test('[FZ1] no frame that is documented, and no known code', () => {
    for (const code of Object.keys(errorCodes).filter((each) => each !== 'INTERNAL_ERROR'))
      expect(faultIn({ type: 'error', code, message: 'm' })).toBeUndefined()
    expect(faultIn({ type: 'pong', timestamp: meta.timestamp })).toBeUndefined()
    for (const { code } of Object.values(closeCodes)) expect(closeFault(code, undefined)).toBeUndefined()
    expect(closeFault(3_000, 3_000)).toBeUndefined()
  })

  test.each([
    ['half a frame', '{"type":"pong"'],
    ['an unknown type', { type: 'shout' }],
    ['a key too many', { type: 'pong', timestamp: 't', debug: 1 }],
    ['an unknown code', { type: 'error', code: 'OOPS', message: 'm' }],
    ['a fault of ours', { type: 'error', code: 'INTERNAL_ERROR', message: 'm' }],
    [
      'one within a resume',
      { type: 'ok', id: 1, rooms: [{ room: 'public:a', error: { code: 'OOPS', message: 'm' } }] },
    ],
    ['an event with a meta of its own', event('public:a', { meta: { ...meta, admin: true } })],
  ])('[FZ1] %s', (_, frame) => {
    expect(faultIn(frame)).toBeDefined()
  })

  test('[FZ1] a close that nobody knows', () => {
    expect(closeFault(1_011, undefined)).toBeDefined()
    expect(closeFault(3_000, 3_001)).toBeDefined()
  })

  test('[FZ3] an event of a room that is somebody else’s, or for the witness, or before authentication', () => {
    for (const room of ['public:a', 'user:fuzz-0', 'tenant:fuzz', 'deal:fuzz:1'])
      expect(faultIn(event(room))).toBeUndefined()
    for (const room of ['user:fuzz-1', 'user:witness', 'tenant:vault', 'deal:vault:1', 'user:fuzz:1', 'a:b:c:d'])
      expect(faultIn(event(room)), room).toContain('hears')
    expect(faultIn(event('public:a', { data: { deep: mark } }))).toContain('witness')
    expect(faultOf(JSON.stringify(event('public:a')), { userId: undefined, seen: () => undefined })).toContain('before')
  })

  test('[FZ2] an answer of ingest that is no problem document, or of a status or code that is not known', () => {
    const type = 'application/problem+json; charset=utf-8'
    const problem = { type: 'about:blank', title: 't', status: 400, detail: 'd', code: 'VALIDATION_ERROR' }
    expect(answerFault({ status: 400, type, body: JSON.stringify(problem) })).toBeUndefined()
    for (const answer of [
      { status: 400, type: 'text/html', body: JSON.stringify(problem) },
      { status: 400, type, body: '' },
      { status: 404, type, body: JSON.stringify(problem) },
      { status: 400, type, body: JSON.stringify({ ...problem, code: 'OOPS' }) },
      { status: 500, type, body: JSON.stringify({ ...problem, status: 500, code: 'INTERNAL_ERROR' }) },
      { status: 202, type: 'application/json; charset=utf-8', body: '{}' },
    ])
      expect(answerFault(answer), JSON.stringify(answer)).toBeDefined()
  })

  test('[FZ4] memory that grows on after it has settled, or is beyond its bound; not what settles', () => {
    const mib = 1_048_576
    const run = (rssAt: (seconds: number) => number) =>
      memoryOf(Array.from({ length: 80 }, (_, i) => ({ seconds: i * 5, rss: rssAt(i * 5) * mib, heapUsed: 50 * mib })))
    expect(run((seconds) => 200 + seconds / 2).failure?.fault).toBe('rss grows')
    expect(run(() => 2_000).failure?.fault).toContain('resident')
    expect(run((seconds) => Math.min(200, 100 + seconds)).failure).toBeUndefined()
    // Shorter than it takes to settle: nothing can be said, and nothing is.
    expect(memoryOf([{ seconds: 1, rss: mib, heapUsed: mib }]).rows.map(({ verdict }) => verdict)).toEqual([
      'too short',
      'too short',
    ])
  })
})

test('[FZ6] of what fails no more is left than has to be', async () => {
  const list = Array.from({ length: 100 }, (_, i) => i)
  let asked = 0
  const fails = async (some: readonly number[]): Promise<boolean> => {
    asked += 1
    return some.includes(17) && some.includes(83)
  }
  expect(await smallest(list, fails, 500)).toEqual([17, 83])
  asked = 0
  await smallest(list, fails, 5)
  expect(asked).toBeLessThanOrEqual(5)
})
