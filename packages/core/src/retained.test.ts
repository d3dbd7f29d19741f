import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { packCommits, unpackCommits } from './retained.ts'
import type { Placed } from './retained.ts'

const count = fc.nat({ max: 2 ** 31 })
const log = fc.record({ room: fc.string(), lastSeq: count, body: fc.string({ unit: 'binary' }), keepFromSeq: count })
/** Names, in which the separators of an entry cannot occur. */
const name = fc.string({ unit: 'grapheme-ascii' })
const change = fc.oneof(
  fc.record({ room: name, boot: name, on: fc.boolean() }),
  fc.record({ room: name, boot: name, connection: name, after: name, inc: count, on: fc.boolean() }),
)
const out = fc.record({ records: fc.string({ unit: 'binary' }), logs: fc.array(count) })

const placed = (okAt: number): fc.Arbitrary<Placed> =>
  fc.record({
    slot: count,
    after: fc.string(),
    commit: fc.record({
      n: count,
      token: fc.string(),
      cursor: fc.string(),
      marks: fc.string(),
      logs: fc.array(log),
      outs: fc.array(fc.tuple(fc.string(), out)).map((outs) => new Map(outs)),
      interest: fc.array(change),
      bytes: count,
      composedAt: fc.constant(5),
      okAt: fc.constant(okAt),
    }),
  })

describe('retained commits', () => {
  it('[LN14] come back as they were, whatever their texts are', () => {
    fc.assert(
      fc.property(fc.array(placed(7), { minLength: 1 }), (commits) => {
        expect(unpackCommits(packCommits(commits, 7))).toEqual(commits)
      }),
    )
  })

  it('[LN14] count what they take: one character beyond Latin-1 makes all texts of the batch twice as wide', () => {
    const one = (body: string): Placed => ({
      slot: 1,
      after: 't0',
      commit: {
        ...{ n: 1, token: 't1', cursor: '0-0', marks: '', outs: new Map(), interest: [] },
        logs: [{ room: 'public:a', lastSeq: 1, keepFromSeq: 0, body }],
        ...{ bytes: body.length, composedAt: 5, okAt: 7 },
      },
    })
    const plain = packCommits([one('x'.repeat(1_000)), one('é')], 7)
    const wide = packCommits([one('x'.repeat(1_000)), one('€')], 7)
    expect(plain.text.length).toBe(wide.text.length)
    expect(wide.bytes - plain.bytes).toBe(plain.text.length)
  })
})
