import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parsePolicy } from './policy-file.ts'
import { dataText, matchWithout } from './sensitive.ts'

const withSensitive = (sensitive: unknown) => parsePolicy({ version: 1, sensitive })

describe('sensitive fields', () => {
  it('[SF1] are left out of data at any depth, in upper or lower case, and nothing else is', () => {
    const data = {
      id: 1,
      Password: 'x',
      list: [{ password: null, kept: [1, 2] }],
      nested: { PASSWORD: { a: 1 } },
      text: '{"password":1}',
    }
    expect(JSON.parse(dataText(data, new Set(['password'])))).toEqual({
      id: 1,
      list: [{ kept: [1, 2] }],
      nested: {},
      text: '{"password":1}',
    })
    expect(dataText(undefined, new Set(['password']))).toBe('null')
  })

  it('[SF1] without them data is what it was, whatever it is', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (data) => {
        expect(dataText(data, null)).toBe(JSON.stringify(data))
        expect(dataText(data, new Set(['not there at all']))).toBe(JSON.stringify(data))
      }),
    )
  })

  it('[SF3] are not among what an event is filtered by, whose names may be paths', () => {
    const match = { region: 'eu', 'card.PIN': 4711, pin: 1, card: { pin: 2, kind: 'x' }, pinned: true }
    expect(matchWithout(match, new Set(['pin']))).toEqual({ region: 'eu', card: { kind: 'x' }, pinned: true })
    expect(matchWithout(match, null)).toBe(match)
  })

  it('[SF2] are names of 1 to 64 letters, digits, - and _ that begin with no digit', () => {
    for (const good of [['pin'], ['Card_Number', 'x-1']]) expect(withSensitive(good)).toMatchObject({ ok: true })
    const parsed = withSensitive(['PIN'])
    expect(parsed.ok && parsed.policy.sensitive).toEqual(new Set(['pin']))
    for (const bad of [[], [''], ['1'], ['a.b'], ['x'.repeat(65)], 'pin']) {
      const refused = withSensitive(bad)
      expect(refused.ok || refused.problems.join()).toContain('sensitive')
    }
  })
})
