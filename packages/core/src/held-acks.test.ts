import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { OutRecord } from './entry.ts'
import { createHeldAcks, stepHeldAcks } from './held-acks.ts'
import type { HeldAcks, HeldAcksEffect, HeldAcksInput } from './held-acks.ts'

const ack = (k: number): OutRecord => ({ type: 'ack', slot: 1, generation: 0, k, results: [] })
const rewind: OutRecord = { type: 'rewind', slot: 1, generation: 0, from: 3 }
const head: OutRecord = { type: 'head', room: 'public:r', epoch: 'e', head: 1 }

function play(...inputs: HeldAcksInput[]): readonly HeldAcksEffect[] {
  const state: HeldAcks = createHeldAcks()
  return inputs.flatMap((input) => stepHeldAcks(state, input))
}
const read = (run: string, ...records: OutRecord[]): HeldAcksInput => ({ type: 'read', run, records })
const answered = (run: string): HeldAcksInput => ({ type: 'answered', run })

describe('acknowledgements that wait for the replicas', () => {
  test('[RA1] acknowledgements and rewinds wait, in order, until replicas confirm what came before the question', () => {
    expect(play(read('a', head))).toEqual([])
    expect(play(read('a', head, ack(1), rewind))).toEqual([{ type: 'ask' }])
    expect(play(read('a', ack(1), rewind), answered('a'))).toEqual([
      { type: 'ask' },
      { type: 'release', records: [ack(1), rewind] },
    ])
  })

  test('[RA1] what is read while a question is under way waits for the next one', () => {
    expect(play(read('a', ack(1)), read('a', ack(2)), read('a', ack(3)), answered('a'), answered('a'))).toEqual([
      { type: 'ask' },
      { type: 'release', records: [ack(1)] },
      { type: 'ask' },
      { type: 'release', records: [ack(2), ack(3)] },
    ])
  })

  test('[RA2] without a confirmation they wait on, and the question is put again', () => {
    expect(play(read('a', ack(1)), answered(''), answered(''), answered('a'))).toEqual([
      { type: 'ask' },
      { type: 'ask' },
      { type: 'ask' },
      { type: 'release', records: [ack(1)] },
    ])
  })

  test('[RA3] what was read from another state of the server is dropped, and said to be', () => {
    expect(play(read('a', ack(1)), read('b', ack(2)), answered('b'), answered('b'))).toEqual([
      { type: 'ask' },
      { type: 'drop' },
      { type: 'ask' },
      { type: 'release', records: [ack(2)] },
    ])
    expect(play(read('', ack(1)), answered('a'))).toEqual([{ type: 'ask' }, { type: 'drop' }])
  })

  test('[RA1][RA3] whatever comes: released once, in order, and only under the run that was confirmed after the read', () => {
    const runs = fc.constantFrom('', 'a', 'b')
    const input = fc.oneof(
      fc.record({ type: fc.constant('read' as const), run: runs }),
      fc.record({ type: fc.constant('answered' as const), run: runs }),
    )
    fc.assert(
      fc.property(fc.array(input, { maxLength: 40 }), (script) => {
        const state = createHeldAcks()
        const runOf = new Map<number, string>()
        let [readSoFar, readWhenAsked, lastReleased] = [0, 0, 0]
        let asking = false
        for (const each of script) {
          if (each.type === 'answered' && !asking) continue
          if (each.type === 'read') runOf.set((readSoFar += 1), each.run)
          else asking = false
          const next = each.type === 'read' ? read(each.run, ack(readSoFar)) : answered(each.run)
          const asked = readWhenAsked
          for (const effect of stepHeldAcks(state, next)) {
            if (effect.type === 'ask') [asking, readWhenAsked] = [true, readSoFar]
            if (effect.type !== 'release') continue
            for (const record of effect.records) {
              const k = record.type === 'ack' ? record.k : NaN
              expect(k).toBeGreaterThan(lastReleased)
              expect(k).toBeLessThanOrEqual(asked)
              expect(each.run).not.toBe('')
              expect(runOf.get(k)).toBe(each.run)
              lastReleased = k
            }
          }
          expect(asking).toBe(state.held.length > 0)
        }
      }),
    )
  })
})
