import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { expect, test } from 'vitest'
import { spawnNode } from '../fleet/process.ts'
import { atEnd } from './setting.ts'

/** The part of a report that is looked at. */
interface Report {
  readonly inputs: number
  readonly frames: number
  readonly requests: number
  readonly heard: number
  readonly failures: readonly {
    readonly fault: string
    readonly inputs?: readonly { readonly inputs?: readonly { readonly text?: string }[] }[]
  }[]
  readonly decoders: readonly (readonly [string, number])[]
  readonly back: readonly (readonly [string, number])[]
}

async function fuzz(
  name: string,
  args: readonly string[],
): Promise<{ code: number | null; printed: string; report: Report }> {
  mkdirSync('out', { recursive: true })
  const file = `out/fuzz-${name}.json`
  rmSync(file, { force: true })
  const child = spawnNode(['loadtests/fuzz.mjs', '--file', file, ...args], {})
  atEnd(() => void child.kill('SIGKILL'))
  let printed = ''
  child.stdout?.on('data', (text: string) => (printed += text))
  child.stderr?.resume()
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, printed, report: JSON.parse(readFileSync(file, 'utf8')) as Report }
}

test('[FZ1] [FZ2] [FZ3] [FZ5] 20,000 mutated frames, handshakes and requests, and as many texts to decoders, do no harm', async () => {
  const { code, printed, report } = await fuzz('short', ['--count', '20000', '--seed', '1'])
  expect({ code, failures: report.failures }, printed).toEqual({ code: 0, failures: [] })
  expect(report.inputs).toBeGreaterThanOrEqual(20_000)
  expect(report.decoders.reduce((sum, [, count]) => sum + count, 0)).toBe(20_000)
  // Else nothing of it arrived where it could have done harm.
  const back = new Map(report.back)
  const kinds = [
    'ok',
    'event',
    'connected',
    'BAD_FRAME',
    'VALIDATION_ERROR',
    'UNSAFE_JSON',
    'FORBIDDEN',
    'INVALID_ROOM',
  ]
  for (const kind of [...kinds, 'HTTP 202', 'HTTP 400', 'handshake 101', 'close 4401', 'close 1002'])
    expect(back.get(kind) ?? 0, kind).toBeGreaterThan(0)
  expect(report.heard).toBeGreaterThan(100)
})

test('[FZ6] an answer that is planted in the fleet is found, and shown by one input', async () => {
  const planted = ['--preload', './test/hostile/planted-answer.mjs']
  const { code, printed, report } = await fuzz('answer', ['--count', '20000', '--seed', '5', ...planted])
  expect(code).toBe(1)
  const [failure] = report.failures
  expect(failure?.fault).toContain('answered PLANTED')
  const texts = failure?.inputs?.flatMap(({ inputs }) => inputs ?? []).map(({ text }) => text)
  expect(texts).toHaveLength(1)
  // Some mutations write letters by their numbers.
  const letters = texts?.[0]?.replaceAll(/\\u([0-9a-f]{4})/g, (_, hex: string) =>
    String.fromCharCode(Number(`0x${hex}`)),
  )
  expect(letters).toContain('since')
  expect(printed).toContain('again by --seed 5')
})

test('[FZ6] a crash that is planted in the fleet is found among what was sent last', async () => {
  const planted = ['--preload', './test/hostile/planted-crash.mjs', '--attempts', '0']
  const { code, report } = await fuzz('crash', ['--count', '20000', '--seed', '5', ...planted])
  expect(code).toBe(1)
  const [failure] = report.failures
  expect(failure).toMatchObject({ fault: expect.stringContaining('planted-crash.mjs') as string, again: true })
  const texts = failure?.inputs?.flatMap(({ inputs }) => inputs ?? []).map(({ text }) => text ?? '')
  expect(texts?.some((text) => /"unsubscribe"/.test(text))).toBe(true)
})
