/** Names of fields, in lower case. */
export type Sensitive = ReadonlySet<string>

/**
 * The data of an event as JSON, without the fields of these names: wherever they stand in it, in upper or lower case. A text that holds JSON is a
 * text. Null: nothing is looked for, which costs nothing.
 * @example dataText({ id: 1, card: { PIN: 4711 } }, new Set(['pin'])) // '{"id":1,"card":{}}'
 */
export function dataText(data: unknown, sensitive: Sensitive | null): string {
  if (sensitive === null) return JSON.stringify(data ?? null)
  return JSON.stringify(data ?? null, (name: string, value: unknown) =>
    sensitive.has(name.toLowerCase()) ? undefined : value,
  )
}
