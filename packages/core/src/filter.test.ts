import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  filterKey,
  matches,
  maxFilterDepth,
  maxFilterKeys,
  maxFilterPathChars,
  maxFilterValueChars,
  maxFilterValues,
  parseFilter,
  type Filter,
} from './filter.ts'

function filterOf(input: unknown): Filter {
  const parsed = parseFilter(input)
  if (!parsed.ok) throw new Error(parsed.reason)
  return parsed.filter
}
const refused = (input: unknown): boolean => !parseFilter(input).ok
const keysOf = (count: number): unknown => Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i}`, i]))

describe('matching', () => {
  test('[FI1] every key must have its value (RM6)', () => {
    const filter = filterOf({ region: 'eu', stage: 'won' })
    expect(matches(filter, { region: 'eu', stage: 'won', more: 1 })).toBe(true)
    expect(matches(filter, { region: 'eu', stage: 'lost' })).toBe(false)
    expect(matches(filter, { region: 'eu' })).toBe(false)
    expect(matches(filterOf({}), null)).toBe(true)
  })

  test('[FI1] values are equal only with their type; containers equal nothing', () => {
    expect(matches(filterOf({ n: 1 }), { n: '1' })).toBe(false)
    expect(matches(filterOf({ n: 0 }), { n: -0 })).toBe(true)
    expect(matches(filterOf({ n: null }), { n: null })).toBe(true)
    expect(matches(filterOf({ n: null }), {})).toBe(false)
    expect(matches(filterOf({ n: 1 }), { n: [1] })).toBe(false)
    expect(matches(filterOf({ n: false }), { n: {} })).toBe(false)
  })

  test('[FI2] dotted paths lead through objects only, by own properties only', () => {
    const filter = filterOf({ 'deal.stage.name': 'won' })
    expect(matches(filter, { deal: { stage: { name: 'won' } } })).toBe(true)
    expect(matches(filter, { deal: { stage: 'won' } })).toBe(false)
    expect(matches(filter, { 'deal.stage.name': 'won' })).toBe(false)
    expect(matches(filterOf({ 'list.0': 1 }), { list: [1] })).toBe(false)
    expect(matches(filterOf({ 'text.length': 3 }), { text: 'abc' })).toBe(false)
    expect(matches(filterOf({ x: 1 }), Object.create({ x: 1 }))).toBe(false)
    for (const data of [null, undefined, 1, 'x', [], true]) expect(matches(filter, data)).toBe(false)
  })

  test('[FI3] a list takes any of its values (RM6)', () => {
    const filter = filterOf({ stage: ['won', 'lost', null] })
    expect(['won', 'lost', null].every((stage) => matches(filter, { stage }))).toBe(true)
    expect(matches(filter, { stage: 'open' })).toBe(false)
  })

  test('[FI4] each key may be found in the data or in the match attributes (RM6)', () => {
    const filter = filterOf({ region: 'eu', 'deal.owner': 'u1' })
    expect(matches(filter, { region: 'eu' }, { deal: { owner: 'u1' } })).toBe(true)
    expect(matches(filter, 'text', { region: 'eu', deal: { owner: 'u1' } })).toBe(true)
    expect(matches(filter, { region: 'us' }, { region: 'eu', deal: { owner: 'u1' } })).toBe(true)
    expect(matches(filter, { region: 'eu' }, { deal: { owner: 'u2' } })).toBe(false)
  })

  test('[FI4] agrees with a naive matcher on flat data', () => {
    const value = fc.constantFrom('a', 'b', 1, true, null)
    const flat = fc.dictionary(fc.constantFrom('x', 'y', 'z'), value, { noNullPrototype: true })
    fc.assert(
      fc.property(flat, flat, flat, (wanted, data, attributes) => {
        const naive = Object.entries(wanted).every(([key, want]) => data[key] === want || attributes[key] === want)
        expect(matches(filterOf(wanted), data, attributes)).toBe(naive)
      }),
    )
  })
})

describe('limits', () => {
  test('[FI5] keys, path, depth, values: at the limit, and one above', () => {
    expect(refused(keysOf(maxFilterKeys))).toBe(false)
    expect(refused(keysOf(maxFilterKeys + 1))).toBe(true)
    expect(refused({ ['x'.repeat(maxFilterPathChars)]: 1 })).toBe(false)
    expect(refused({ ['x'.repeat(maxFilterPathChars + 1)]: 1 })).toBe(true)
    expect(refused({ [Array(maxFilterDepth).fill('x').join('.')]: 1 })).toBe(false)
    expect(
      refused({
        [Array(maxFilterDepth + 1)
          .fill('x')
          .join('.')]: 1,
      }),
    ).toBe(true)
    expect(refused({ x: Array.from({ length: maxFilterValues }, (_, i) => i) })).toBe(false)
    expect(refused({ x: Array.from({ length: maxFilterValues + 1 }, (_, i) => i) })).toBe(true)
    expect(refused({ x: 'v'.repeat(maxFilterValueChars) })).toBe(false)
    expect(refused({ x: 'v'.repeat(maxFilterValueChars + 1) })).toBe(true)
  })

  test.each([null, undefined, 1, 'x', [], [{ a: 1 }]])('[FI6] %j is not a filter', (input) => {
    expect(refused(input)).toBe(true)
  })

  test.each([{ x: {} }, { x: [[1]] }, { x: undefined }, { x: [] }, { x: Number.NaN }, { x: Infinity }, { x: 1n }])(
    '[FI6] a value that is no scalar is refused (%#)',
    (input) => {
      expect(refused(input)).toBe(true)
    },
  )

  test.each(['', '.', 'a.', '.a', 'a..b'])('[FI6] the path %j is refused', (path) => {
    expect(refused({ [path]: 1 })).toBe(true)
  })

  test.each(['__proto__', 'a.__proto__.b', 'constructor', 'a.prototype', 'constructor.name'])(
    '[FI7] the path %s is refused',
    (path) => {
      expect(refused(JSON.parse(`{"${path}": 1}`))).toBe(true)
    },
  )

  test('[FI6] never throws, and a reason never repeats the input', () => {
    fc.assert(
      fc.property(fc.anything(), (input) => {
        expect(typeof parseFilter(input).ok).toBe('boolean')
      }),
    )
    expect(JSON.stringify(parseFilter({ 'secret..x': 1 }))).not.toContain('secret')
  })
})

describe('filterKey', () => {
  const value = fc.oneof(fc.string({ maxLength: 3 }), fc.integer({ min: -2, max: 2 }), fc.boolean(), fc.constant(null))
  const path = fc.stringMatching(/^[a-c](\.[a-c]){0,2}$/)
  const input = fc.dictionary(path, fc.oneof(value, fc.array(value, { minLength: 1, maxLength: 4 })), { maxKeys: 4 })

  test('[FI8] does not depend on the order of keys or values, on repeats, or on a list around one value', () => {
    expect(filterKey(filterOf({ b: ['y', 'x', 'y'], a: 1 }))).toBe(filterKey(filterOf({ a: [1], b: ['x', 'y'] })))
    expect(filterKey(filterOf({ n: -0 }))).toBe(filterKey(filterOf({ n: 0 })))
    fc.assert(
      fc.property(input, (drawn) => {
        const shuffled = Object.entries(drawn)
          .toReversed()
          .map(([key, values]) => [key, Array.isArray(values) ? values.toReversed() : [values]])
        expect(filterKey(filterOf(Object.fromEntries(shuffled)))).toBe(filterKey(filterOf(drawn)))
      }),
    )
  })

  test('[FI8] equal keys mean the same filter: the text can be read back into it', () => {
    fc.assert(
      fc.property(input, (drawn) => {
        const filter = filterOf(drawn)
        const clauses: [string, ...unknown[]][] = JSON.parse(filterKey(filter))
        const back = filterOf(Object.fromEntries(clauses.map(([key, ...values]) => [key, values])))
        expect(back).toEqual(filter)
      }),
    )
    expect(filterKey(filterOf({ x: '1' }))).not.toBe(filterKey(filterOf({ x: 1 })))
  })
})
