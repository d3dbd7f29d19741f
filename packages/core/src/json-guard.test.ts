import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { guardJson, hasForbiddenKey, hasKeyTwice, jsonLimits, parseJson } from './json-guard.ts'

const { maxDepth, maxKeys } = jsonLimits
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)
const keys = (count: number): string => `{${Array.from({ length: count }, (_, i) => `"k${i}":0`).join(',')}}`
/** Texts full of what a scanner could take for structure. */
const trickyText = fc.string({ unit: fc.constantFrom('"', '\\', '{', '}', '[', ']', ':', ',', 'a', '\n', 'é') })
const trickyJson = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    trickyText,
    fc.constantFrom(0, true, null),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(trickyText, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
})).value

describe('limits before parsing', () => {
  test('[JG1] depth: at the limit, and one above (LM2)', () => {
    expect(parseJson(nested(maxDepth)).ok).toBe(true)
    expect(parseJson(nested(maxDepth + 1))).toEqual({ ok: false, code: 'TOO_DEEP' })
    expect(parseJson('{"a":'.repeat(maxDepth + 1))).toEqual({ ok: false, code: 'TOO_DEEP' })
    expect(parseJson(`[${'[],'.repeat(1_000)}[]]`).ok).toBe(true)
  })

  test('[JG2] keys of all objects together: at the limit, and one above (LM2)', () => {
    expect(parseJson(keys(maxKeys)).ok).toBe(true)
    expect(parseJson(keys(maxKeys + 1))).toEqual({ ok: false, code: 'TOO_MANY_KEYS' })
    expect(parseJson(`[${keys(600)},${keys(600)}]`)).toEqual({ ok: false, code: 'TOO_MANY_KEYS' })
    expect(parseJson('{"a":1,"b":2}', { maxDepth: 1, maxKeys: 1 })).toEqual({ ok: false, code: 'TOO_MANY_KEYS' })
  })

  test('[JG3] texts are no structure, whatever is in them', () => {
    const limits = { maxDepth: 1, maxKeys: 1 }
    for (const text of ['[[[[', '{":":":"}', '\\"[[', '\\\\', '"', '\\', '']) {
      expect(parseJson(JSON.stringify({ a: text }), limits)).toEqual({ ok: true, value: { a: text } })
    }
    expect(guardJson('["\\\\"],[[', limits)).toBe('TOO_DEEP')
  })

  test('[JG3] the counts are exact on any JSON', () => {
    fc.assert(
      fc.property(trickyJson, fc.constantFrom(undefined, 1), (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        const depth = depthOf(value)
        const count = countKeys(value)
        expect(guardJson(text, { maxDepth: depth, maxKeys: count })).toBeUndefined()
        if (depth > 0) expect(guardJson(text, { maxDepth: depth - 1, maxKeys: count })).toBe('TOO_DEEP')
        if (count > 0) expect(guardJson(text, { maxDepth: depth, maxKeys: count - 1 })).toBe('TOO_MANY_KEYS')
      }),
      { numRuns: 500 },
    )
  })

  test('[JG4] hostile texts of 1 MiB cost linear time and no stack', () => {
    const size = 1_048_576
    const hostile = ['"', '\\', '\\"', '"\\', '[', '{"a":', ']', ':'].map((unit) => unit.repeat(size / unit.length))
    for (const text of [...hostile, `"${'\\'.repeat(size)}`, `"${'\\"'.repeat(size / 2)}`]) {
      expect(parseJson(text).ok).toBe(false)
    }
    expect(parseJson(`"${'\\\\'.repeat(size / 2)}"`).ok).toBe(true)
  })
})

describe('parsing', () => {
  test.each(['', ' ', '{', '"', '{"a":1}}', ']', "{'a':1}", '{"a":1,}', 'undefined', '\ufeff{}', 'NaN'])(
    '[JG5] %j is BAD_JSON',
    (text) => {
      expect(parseJson(text)).toEqual({ ok: false, code: 'BAD_JSON' })
    },
  )

  test('[JG5] within the limits it gives what JSON.parse gives', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), (text) => {
        const value: unknown = JSON.parse(text)
        expect(parseJson(text)).toEqual(
          hasForbiddenKey(value) ? { ok: false, code: 'FORBIDDEN_KEY' } : { ok: true, value },
        )
      }),
    )
  })

  test('[JG5] never throws, whatever the text', () => {
    fc.assert(fc.property(fc.oneof(fc.string(), trickyText), (text) => typeof parseJson(text).ok === 'boolean'))
  })

  test.each(['__proto__', 'constructor', 'prototype'])(
    '[JG6] the key %s is refused anywhere, also escaped (LM2)',
    (key) => {
      const escaped = [...key].map((unit) => `\\u${(unit.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`).join('')
      for (const spelt of [key, escaped]) {
        expect(parseJson(`{"${spelt}":1}`)).toEqual({ ok: false, code: 'FORBIDDEN_KEY' })
        expect(parseJson(`{"a":[0,{"b":{"${spelt}":{}}}]}`)).toEqual({ ok: false, code: 'FORBIDDEN_KEY' })
      }
      expect(parseJson(`["${key}",{"a":"${key}","x${key}":1}]`).ok).toBe(true)
    },
  )

  test('[JG6] other names that every object has are ordinary keys', () => {
    expect(parseJson('{"toString":1,"hasOwnProperty":2,"valueOf":3,"__defineGetter__":4}').ok).toBe(true)
  })

  test('[JG6] the walk needs no stack', () => {
    let deep: unknown = JSON.parse('{"__proto__":1}')
    for (let i = 0; i < 200_000; i++) deep = [deep]
    expect(hasForbiddenKey(deep)).toBe(true)
  })
})

describe('keys that stand twice', () => {
  test.each([
    ['{"a":1,"a":1}', true],
    ['{"a":1,"\\u0061":2}', true],
    ['[{"b":{"a":1,"a":{}}}]', true],
    ['{"__proto__":1,"__proto__":2}', true],
    ['{"a":{"a":[{"a":":"}]},"b":"\\":"}', false],
    ['{"__proto__":{"a":1}}', false],
    ['[1,null,"a:b"]', false],
  ])('[JG7] %s: %s', (text, expected) => {
    expect(hasKeyTwice(text, JSON.parse(text))).toBe(expected)
  })

  test('[JG7] of what a serialiser writes none does, and one that is added is found', () => {
    fc.assert(
      fc.property(fc.dictionary(trickyText, trickyJson, { minKeys: 1, noNullPrototype: true }), (value) => {
        const text = JSON.stringify(value)
        expect(hasKeyTwice(text, value)).toBe(false)
        const twice = `${text.slice(0, -1)},${JSON.stringify(Object.keys(value)[0])}:0}`
        expect(hasKeyTwice(twice, JSON.parse(twice))).toBe(true)
      }),
    )
  })
})

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const inner = Object.values(value).reduce<number>((total, item) => total + countKeys(item), 0)
  return inner + (Array.isArray(value) ? 0 : Object.keys(value).length)
}
