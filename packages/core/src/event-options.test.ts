import { describe, expect, it } from 'vitest'
import { conflateOf, isOver, noOptions, readOptions, writeOptions } from './event-options.ts'

describe('options of an event', () => {
  it('[EC1] are read as they were written; an event without any has an empty text', () => {
    expect(writeOptions({})).toBe('')
    expect(writeOptions({ except: [], match: undefined })).toBe('')
    expect(readOptions('')).toEqual(noOptions)
    const all = { except: ['a', 'b'], match: { x: [1] }, conflate: 'c1 "k"\\', until: 5 }
    expect(readOptions(writeOptions(all))).toEqual(all)
    for (const each of [{ except: ['a'] }, { match: {} }, { conflate: 'k' }, { until: 0 }])
      expect(readOptions(writeOptions(each))).toEqual({ ...noOptions, ...each })
  })

  it.each(['{', '[]', '7', 'null', '{"except":"a","match":[1],"conflate":1,"until":"2"}', '{"other":1}'])(
    '[EC1] of %s no option can be read',
    (text) => expect(readOptions(text)).toEqual(noOptions),
  )

  it('[EC1] a conflation key is found without reading others', () => {
    expect(conflateOf(writeOptions({ conflate: 'c1 "k"\\', except: ['a'] }))).toBe('c1 "k"\\')
    expect(conflateOf(writeOptions({ match: { conflate: 'x' } }))).toBeUndefined()
    expect(conflateOf('')).toBeUndefined()
    expect(conflateOf('{"conflate":"')).toBeUndefined()
  })

  it('[TT1] an event is over from the time on that its options name', () => {
    const options = writeOptions({ until: 1_000, match: { a: 1 } })
    expect([999, 1_000, 1_001].map((now) => isOver(options, now))).toEqual([false, true, true])
    expect(isOver('', 9)).toBe(false)
    expect(isOver(writeOptions({ match: { until: 1 } }), 9)).toBe(false)
  })
})
