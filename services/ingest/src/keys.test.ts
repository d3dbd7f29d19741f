import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { developmentKey, keyOf, parseKeys } from './keys.ts'
import type { IngestKeys } from './keys.ts'

const a = 'aaaaaaaaaaaaaaaa'
const b = 'bbbbbbbbbbbbbbbb'

describe('keys', () => {
  it('[IN15] a key is named by its entry, or by its place', () => {
    const keys = parseKeys(`crm:${a}, ${b},`)
    expect([a, b, `crm:${a}`, ''].map((secret) => keys.identify(secret)?.name)).toEqual([
      'crm',
      'key2',
      undefined,
      undefined,
    ])
  })

  it('[IN15] a key may contain colons after its name', () => {
    expect(parseKeys(`crm:${a}:x`).identify(`${a}:x`)?.name).toBe('crm')
  })

  it.each([
    ['no key', ' , ', 'nobody could post'],
    ['a short key', 'crm:short', 'key crm is shorter'],
    ['a name of another form', `c m:${a}`, 'the name of key 1'],
    ['a name twice', `crm:${a},crm:${b}`, 'two keys are named crm'],
  ])('[IN15] %s is refused, and the message has no key in it', (_name, text, message) => {
    expect(() => parseKeys(text)).toThrow(message)
    expect(() => parseKeys(text)).not.toThrow(new RegExp(`${a}|${b}|short,`))
  })

  it('[IN15] a development key is another one each time', () => {
    const key = developmentKey()
    expect(parseKeys(key).identify(key)?.name).toBe('key1')
    expect(developmentKey()).not.toBe(key)
  })

  it('[IN20] what a connection has shown is not hashed again: it holds for that very text, connection and set of keys', () => {
    const asked: string[] = []
    const counted = (text: string): IngestKeys => {
      const keys = parseKeys(text)
      return { ...keys, identify: (secret) => (asked.push(secret), keys.identify(secret)) }
    }
    const keys = counted(`crm:${a}, shop:${b}`)
    const socket = new Socket()
    const named = (authorization: string | undefined, by = keys, on = socket): string | undefined => {
      const request = new IncomingMessage(on)
      if (authorization !== undefined) request.headers = { authorization }
      return keyOf(by, request)?.name
    }
    const told = [`Bearer ${b}`, `Bearer ${b}`, `Bearer ${a}`, `Bearer ${a}`, `bearer ${a}`].map((each) => named(each))
    expect(told).toEqual(['shop', 'shop', 'crm', 'crm', 'crm'])
    expect(asked).toEqual([b, a, a])
    expect([named(`Bearer ${b}x`), named(`Bearer ${b}x`), named(`Basic ${a}`), named(undefined)]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ])
    expect(asked.slice(3)).toEqual([`${b}x`, `${b}x`])
    expect(named(`bearer ${a}`, counted(`shop:${b}`))).toBeUndefined()
    expect(named(`bearer ${a}`, counted(`other:${a}`), new Socket())).toBe('other')
  })
})
