import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareEpochs, continues, emptyEpochHours, epochForClient, formatEpoch, parseEpoch } from './position.ts'

const hourMs = 3_600_000
const nowMs = 500_000 * hourMs + 1
const life = fc.record({ inc: fc.nat(1e9), tag: fc.integer({ min: 1, max: 1e9 }) })

describe('positions', () => {
  it('[PO1] an epoch is read as it was written', () => {
    fc.assert(
      fc.property(life, (epoch) => {
        expect(parseEpoch(formatEpoch(epoch))).toEqual(epoch)
        expect(epochForClient(epoch, nowMs)).toBe(formatEpoch(epoch))
      }),
    )
    expect(epochForClient({ inc: 5, tag: 0 }, nowMs)).toBe('5.0.500000')
    expect(parseEpoch('5.0.500000')).toEqual({ inc: 5, tag: 0, issuedHour: 500_000 })
  })

  it.each(['', '5', '5.', '.5', '5.1.2', '5.0.', '-1.0', '1e3.2', '5.12 ', '5.0.1.1', '9'.repeat(16) + '.1'])(
    '[PO1] %j is not an epoch',
    (text) => {
      expect(parseEpoch(text)).toBeUndefined()
    },
  )

  it('[PO2] the higher inc is the newer, then the higher tag', () => {
    expect(compareEpochs({ inc: 2, tag: 1 }, { inc: 1, tag: 9 })).toBeGreaterThan(0)
    expect(compareEpochs({ inc: 1, tag: 1 }, { inc: 1, tag: 9 })).toBeLessThan(0)
    expect(compareEpochs({ inc: 1, tag: 9 }, { inc: 1, tag: 9 })).toBe(0)
  })

  it('[PO3] a position continues in its own life only', () => {
    expect(continues({ inc: 1, tag: 7 }, { inc: 1, tag: 7 }, nowMs)).toBe(true)
    expect(continues({ inc: 1, tag: 7 }, { inc: 1, tag: 8 }, nowMs)).toBe(false)
    expect(continues({ inc: 1, tag: 7 }, { inc: 2, tag: 7 }, nowMs)).toBe(false)
    expect(continues({ inc: 1, tag: 0 }, { inc: 1, tag: 7 }, nowMs)).toBe(false)
  })

  it('[PO4] a position of an empty room continues in the next life for 12 hours', () => {
    const since = (hoursAgo: number) => ({ inc: 1, tag: 0, issuedHour: 500_000 - hoursAgo })
    const head = { inc: 1, tag: 7 }
    expect(continues(since(0), head, nowMs)).toBe(true)
    expect(continues(since(-1), head, nowMs)).toBe(true)
    expect(continues(since(-2), head, nowMs)).toBe(false)
    expect(continues(since(emptyEpochHours - 1), head, nowMs)).toBe(true)
    expect(continues(since(emptyEpochHours), head, nowMs)).toBe(false)
    expect(continues(since(0), { inc: 2, tag: 7 }, nowMs)).toBe(false)
    expect(continues(since(100), { inc: 1, tag: 0 }, nowMs)).toBe(true)
  })
})
