/** Names of fields, in lower case. */
export type Sensitive = ReadonlySet<string>

/**
 * The data of an event as JSON, without the fields of these names: wherever they stand in it, in upper or lower case. A text that holds JSON is a
 * text. Null: nothing is looked for, which costs nothing.
 * @example dataText({ id: 1, card: { PIN: 4711 } }, new Set(['pin'])) // '{"id":1,"card":{}}'
 */
export function dataText(data: unknown, sensitive: Sensitive | null): string {
  return JSON.stringify(without(data ?? null, sensitive))
}

/** The value itself where it has none of these fields: to ask JSON.stringify about each item of a long list takes six times as long. */
export function without<T>(value: T, sensitive: Sensitive | null): T {
  return sensitive !== null && has(value, sensitive) ? (copyOf(value, sensitive) as T) : value
}

/**
 * What an event is filtered by besides its data. Names there may be dotted paths: one with a sensitive part is left out.
 * @example matchWithout({ region: 'eu', 'card.pin': 4711 }, new Set(['pin'])) // { region: 'eu' }
 */
export function matchWithout<T>(match: Readonly<Record<string, T>>, sensitive: Sensitive | null): Record<string, T> {
  if (sensitive === null) return match
  const kept = Object.entries(match).filter(([path]) => !path.split('.').some((part) => isNamed(part, sensitive)))
  return without(Object.fromEntries(kept), sensitive)
}

const isNamed = (name: string, sensitive: Sensitive): boolean => sensitive.has(name.toLowerCase())

/** Values come from JSON that was judged, so they are no deeper than its limit. */
function has(value: unknown, sensitive: Sensitive): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some((each) => has(each, sensitive))
  return Object.entries(value).some(([name, each]) => isNamed(name, sensitive) || has(each, sensitive))
}

function copyOf(value: unknown, sensitive: Sensitive): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((each) => copyOf(each, sensitive))
  const kept = Object.entries(value).filter(([name]) => !isNamed(name, sensitive))
  return Object.fromEntries(kept.map(([name, each]) => [name, copyOf(each, sensitive)]))
}
