/**
 * Subscription filters: `{ 'deal.stage': ['won', 'lost'], region: 'eu' }`. An event is delivered when every key has one
 * of its values, in the event's data or in the match attributes that the publisher gave.
 */

export const maxFilterKeys = 16
export const maxFilterPathChars = 64
/** Parts of one dotted path. */
export const maxFilterDepth = 8
/** Values of one key. */
export const maxFilterValues = 32
/** Of a value that is a text: with the other limits it bounds what a filter costs to keep. */
export const maxFilterValueChars = 256

export type FilterValue = string | number | boolean | null
interface Clause {
  readonly path: string
  readonly parts: readonly string[]
  readonly values: readonly FilterValue[]
}
/** A checked filter in canonical form: keys and values sorted, no value twice. Made by {@link parseFilter} only. */
export interface Filter {
  readonly clauses: readonly Clause[]
}
export type ParsedFilter =
  | { readonly ok: true; readonly filter: Filter }
  | { readonly ok: false; readonly reason: string }

const forbiddenParts: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

/** The reason is a sentence for the client's developer; it never repeats what the client sent. */
export function parseFilter(input: unknown): ParsedFilter {
  if (!isObject(input)) return fault('a filter is an object')
  const entries = Object.entries(input)
  if (entries.length > maxFilterKeys) return fault(`a filter has at most ${maxFilterKeys} keys`)
  const clauses: Clause[] = []
  for (const [path, value] of entries) {
    const parts = path.split('.')
    const reason = pathFault(path, parts) ?? valuesFault(value)
    if (reason !== undefined) return fault(reason)
    clauses.push({ path, parts, values: canonicalValues(value) })
  }
  clauses.sort((a, b) => compareTexts(a.path, b.path))
  return { ok: true, filter: { clauses } }
}

/** Whether an event with this data and these attributes is for the subscriber. An empty filter takes everything. */
export function matches(filter: Filter, data: unknown, attributes?: Readonly<Record<string, unknown>>): boolean {
  for (const clause of filter.clauses) {
    if (!holds(clause, data) && !(attributes !== undefined && holds(clause, attributes))) return false
  }
  return true
}

/** The same text for equal filters, so that their subscribers share one encoding; others have different texts. */
export function filterKey(filter: Filter): string {
  return JSON.stringify(filter.clauses.map((clause) => [clause.path, ...clause.values]))
}

function holds(clause: Clause, root: unknown): boolean {
  let at = root
  for (const part of clause.parts) {
    if (!isObject(at) || !Object.hasOwn(at, part)) return false
    at = at[part]
  }
  return isFilterValue(at) && clause.values.includes(at)
}

function pathFault(path: string, parts: readonly string[]): string | undefined {
  if (path.length > maxFilterPathChars) return `a key of a filter has at most ${maxFilterPathChars} characters`
  if (parts.length > maxFilterDepth) return `a key of a filter has at most ${maxFilterDepth} parts`
  if (parts.includes('')) return 'a key of a filter has no empty part'
  if (parts.some((part) => forbiddenParts.has(part))) return 'a key of a filter names a forbidden property'
  return undefined
}

function valuesFault(value: unknown): string | undefined {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value]
  // Any of none would never match, and is always a mistake.
  if (values.length === 0) return 'a list of values is not empty'
  if (values.length > maxFilterValues) return `a key of a filter has at most ${maxFilterValues} values`
  for (const item of values) {
    if (!isFilterValue(item)) return 'a value is a text, a finite number, true, false or null, or a list of these'
    if (typeof item === 'string' && item.length > maxFilterValueChars) {
      return `a text in a filter has at most ${maxFilterValueChars} characters`
    }
  }
  return undefined
}

function canonicalValues(value: unknown): readonly FilterValue[] {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value]
  const byText = new Map<string, FilterValue>()
  for (const item of values) if (isFilterValue(item)) byText.set(JSON.stringify(item), item)
  return [...byText].sort(([a], [b]) => compareTexts(a, b)).map(([, item]) => item)
}

/** By code unit: a locale's order could differ between two processes. */
function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function isFilterValue(value: unknown): value is FilterValue {
  if (typeof value === 'number') return Number.isFinite(value)
  return value === null || typeof value === 'string' || typeof value === 'boolean'
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function fault(reason: string): ParsedFilter {
  return { ok: false, reason }
}
