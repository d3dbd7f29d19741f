import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { maxEventChars, maxKeyChars, maxRoomChars, parseRoomName, validEventName, validKey } from './room-name.ts'

const loneHigh = '\ud83d'
const loneLow = '\ude80'

describe('room names', () => {
  test('[RN1] two and three parts (RM1)', () => {
    expect(parseRoomName('user:42')).toEqual({ ok: true, name: 'user:42', type: 'user', id: '42' })
    expect(parseRoomName('deal:acme:7')).toEqual({
      ok: true,
      name: 'deal:acme:7',
      type: 'deal',
      tenant: 'acme',
      id: '7',
    })
    expect(parseRoomName('doc:é 🚀/x')).toMatchObject({ ok: true, type: 'doc', id: 'é 🚀/x' })
  })

  test.each(['lobby', 'a:', ':a', 'a::b', 'a:b:', 'a:b:c:d', ':'])('[RN1] %s is refused', (name) => {
    expect(parseRoomName(name)).toMatchObject({ ok: false })
  })

  test('[RN1] what it takes is what it gives back', () => {
    const part = fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }).filter((text) => !text.includes(':'))
    fc.assert(
      fc.property(part, fc.option(part), (id, tenant) => {
        const name = tenant === null ? `t:${id}` : `t:${tenant}:${id}`
        const parsed = parseRoomName(name)
        if (!parsed.ok) return expect(['control', 'length']).toContain(parsed.reason)
        expect([parsed.type, parsed.tenant ?? null, parsed.id]).toEqual(['t', tenant, id])
      }),
    )
  })

  test('[RN1] never throws, whatever the text', () => {
    const units = fc.array(fc.integer({ min: 0, max: 0xffff })).map((drawn) => String.fromCharCode(...drawn))
    fc.assert(fc.property(units, (text) => typeof parseRoomName(text).ok === 'boolean'))
  })

  test('[RN2] 1 to 200 characters (RM1)', () => {
    expect(parseRoomName('')).toEqual({ ok: false, reason: 'length' })
    expect(parseRoomName(`a:${'x'.repeat(maxRoomChars - 2)}`).ok).toBe(true)
    expect(parseRoomName(`a:${'x'.repeat(maxRoomChars - 1)}`)).toEqual({ ok: false, reason: 'length' })
  })

  test('[RN3] no control characters and no unpaired surrogates', () => {
    for (const bad of ['\0', '\n', '\u001e', '\u001f', '\u007f']) {
      expect(parseRoomName(`a:x${bad}y`)).toEqual({ ok: false, reason: 'control' })
    }
    for (const bad of [loneHigh, loneLow, loneLow + loneHigh]) {
      expect(parseRoomName(`a:x${bad}y`)).toEqual({ ok: false, reason: 'surrogate' })
    }
    expect(parseRoomName(`a:${loneHigh}${loneLow}`).ok).toBe(true)
  })

  test.each(['A:b', '1a:b', '_a:b', 'a.b:c', 'é:b', `${'a'.repeat(33)}:b`, ' a:b', ':a:b'])(
    '[RN4] the type of %s is refused',
    (name) => {
      expect(parseRoomName(name)).toEqual({ ok: false, reason: 'type' })
    },
  )

  test('[RN4] a type has up to 32 characters', () => {
    expect(parseRoomName(`a${'-_9'.repeat(10)}z:b`).ok).toBe(true)
    expect(parseRoomName(`${'a'.repeat(32)}:b`).ok).toBe(true)
  })
})

describe('event names and publish keys', () => {
  test('[RN5] an event name has 1 to 128 characters, no control characters, no unpaired surrogates', () => {
    expect(['deal.stage.changed', 'é', 'x'.repeat(maxEventChars)].every(validEventName)).toBe(true)
    expect(['', 'x'.repeat(maxEventChars + 1), 'a\nb', 'a\u007f', loneLow].some(validEventName)).toBe(false)
  })

  test('[RN6] a publish key has 1 to 128 printable characters', () => {
    expect(['k', '5b0f6d1e-4b0a', 'é 🚀', 'x'.repeat(maxKeyChars)].every(validKey)).toBe(true)
    const bad = ['', 'x'.repeat(maxKeyChars + 1), 'a\tb', '\u0085', '\u2028', '\u2029', loneHigh, 'a\u001fb']
    expect(bad.some(validKey)).toBe(false)
  })
})
