/** JSON from outside: bounded before it is parsed, and free of keys that could reach a prototype. */
export interface JsonLimits {
  /** Objects and arrays inside each other. */
  readonly maxDepth: number
  /** Keys of all objects together. */
  readonly maxKeys: number
}
export const jsonLimits: JsonLimits = { maxDepth: 32, maxKeys: 1_000 }

export type JsonFault = 'BAD_JSON' | 'TOO_DEEP' | 'TOO_MANY_KEYS' | 'FORBIDDEN_KEY'
export type ParsedJson =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly code: JsonFault }

const forbiddenKeys: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])
const quote = 0x22
const colon = 0x3a
const openArray = 0x5b
const backslash = 0x5c
const closeArray = 0x5d
const openObject = 0x7b
const closeObject = 0x7d

/** Parses within the limits and refuses forbidden keys. Takes time linear in the text and no stack. */
export function parseJson(text: string, limits: JsonLimits = jsonLimits): ParsedJson {
  const fault = guardJson(text, limits)
  if (fault !== undefined) return { ok: false, code: fault }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { ok: false, code: 'BAD_JSON' }
  }
  if (mayHoldForbiddenKey(text) && hasForbiddenKey(value)) return { ok: false, code: 'FORBIDDEN_KEY' }
  return { ok: true, value }
}

/**
 * Counts depth and keys in one pass over the text. Of a text that is not JSON it may say anything: the parser refuses
 * that one anyhow, but only after the limits have held.
 */
export function guardJson(text: string, limits: JsonLimits = jsonLimits): 'TOO_DEEP' | 'TOO_MANY_KEYS' | undefined {
  let depth = 0
  let keys = 0
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case quote:
        i = endOfString(text, i)
        break
      case openArray:
      case openObject:
        if (++depth > limits.maxDepth) return 'TOO_DEEP'
        break
      case closeArray:
      case closeObject:
        depth--
        break
      case colon:
        // Outside of texts JSON has one colon per key.
        if (++keys > limits.maxKeys) return 'TOO_MANY_KEYS'
        break
    }
  }
  return undefined
}

/** Whether any object inside has an own key `__proto__`, `constructor` or `prototype`. */
export function hasForbiddenKey(value: unknown): boolean {
  const open: unknown[] = [value]
  while (open.length > 0) {
    const at = open.pop()
    if (typeof at !== 'object' || at === null) continue
    if (Array.isArray(at)) {
      const items: readonly unknown[] = at
      for (const item of items) if (typeof item === 'object') open.push(item)
      continue
    }
    for (const [key, item] of Object.entries(at)) {
      if (forbiddenKeys.has(key)) return true
      if (typeof item === 'object') open.push(item)
    }
  }
  return false
}

/**
 * Whether an object of `text`, which parses as `value`, has a key twice, however spelt. The parser takes the last one; another
 * one may take the first, and then two readers of one text disagree about it.
 */
export function hasKeyTwice(text: string, value: unknown): boolean {
  let keys = 0
  const open: unknown[] = [value]
  while (open.length > 0) {
    const at = open.pop()
    if (typeof at !== 'object' || at === null) continue
    const items: readonly unknown[] = Object.values(at)
    if (!Array.isArray(at)) keys += items.length
    for (const item of items) if (typeof item === 'object') open.push(item)
  }
  return guardJson(text, { maxDepth: Infinity, maxKeys: keys }) !== undefined
}

/** A search in the text is much cheaper than a walk of the value. With an escape a key can be spelt in other ways. */
function mayHoldForbiddenKey(text: string): boolean {
  if (text.includes('\\u')) return true
  for (const key of forbiddenKeys) if (text.includes(key)) return true
  return false
}

/** Index of the closing quote, or the text's length. Jumps from quote to quote: long texts cost next to nothing. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (end !== -1) {
    let first = end
    while (text.charCodeAt(first - 1) === backslash) first--
    if ((end - first) % 2 === 0) return end
    end = text.indexOf('"', end + 1)
  }
  return text.length
}
