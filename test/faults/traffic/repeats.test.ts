import { dedupeMs } from '@flotilla/core/limits'
import { expect, test } from 'vitest'
import { createRandom } from '../../../packages/core/sim/random.ts'
import type { Line } from '../history.ts'
import { choose } from './repeats.ts'

const published = (name: string, count: number, t: number): Line[] =>
  Array.from({ length: count }, (_, i): Line[] => [
    { type: 'invoke', t, by: 'ingest', room: 'r', id: `${name}-${i}` },
    { type: 'ok', t: t + 1, room: 'r', id: `${name}-${i}`, epoch: '1.1', seq: i + 1 },
  ]).flat()
const countOf = (chosen: readonly { id: string }[], name: string): number =>
  new Set(chosen.map(({ id }) => id).filter((id) => id.startsWith(name))).size

test('[FA5] of what was acknowledged a hundredth is published again, and some from before the fault', () => {
  const lines: Line[] = [
    ...published('before', 100, 10),
    { type: 'fault', t: 20, phase: 'inject' },
    ...published('after', 4_000, 30),
    { type: 'invoke', t: 31, by: 'ingest', room: 'r', id: 'unanswered' },
  ]
  const chosen = choose(lines, createRandom(1))
  expect(chosen).toHaveLength(60)
  expect([countOf(chosen, 'before'), countOf(chosen, 'after')]).toEqual([20, 40])
})

test('[FA5] what may be forgotten by then is not', () => {
  const lines: Line[] = [
    ...published('old', 5, 0),
    { type: 'fault', t: 20, phase: 'inject' },
    ...published('young', 5, dedupeMs),
  ]
  const chosen = choose(lines, createRandom(1))
  expect([countOf(chosen, 'old'), countOf(chosen, 'young')]).toEqual([0, 5])
})
