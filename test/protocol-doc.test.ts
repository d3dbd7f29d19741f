import { closeCodes, errorCodes, reconnectPolicy } from '@flotilla/core/codes'
import { clientFrame, PROTOCOL_VERSION, serverFrame } from '@flotilla/core/frames'
import * as limits from '@flotilla/core/limits'
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'

const read = (name: string): Promise<string> => readFile(new URL(`../docs/${name}`, import.meta.url), 'utf8')

/** Frames of all fenced blocks marked `json client` or `json server`, one per line; any other json fence is a mistake. */
function examples(text: string): { side: string; frame: unknown; line: string }[] {
  const found: { side: string; frame: unknown; line: string }[] = []
  for (const [, info = '', body = ''] of text.matchAll(/^```json(.*)\n([^]*?)^```$/gm)) {
    for (const line of body.trim().split('\n')) found.push({ side: info.trim(), frame: JSON.parse(line), line })
  }
  return found
}

/** Cells of the table rows whose first cell matches. */
function rows(text: string, first: RegExp): string[][] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    .filter(([cell = '']) => first.test(cell))
}

test('[PD1] every example of docs/protocol.md is a frame of its side, and every type of frame has one', async () => {
  const text = await read('protocol.md')
  const all = examples(text)
  for (const { side, frame, line } of all) {
    expect(['client', 'server'], line).toContain(side)
    const result = (side === 'client' ? clientFrame : serverFrame).safeParse(frame)
    expect(result.error?.issues, line).toBeUndefined()
    // Server schemas drop keys they do not know; an example must not have any.
    expect(result.data, line).toEqual(frame)
  }
  for (const [side, schema] of Object.entries({ client: clientFrame, server: serverFrame })) {
    const types = schema.options.map((option) => option.shape.type.value)
    const shown = all.filter((e) => e.side === side).map((e) => JSON.parse(e.line).type)
    expect(new Set(shown)).toEqual(new Set(types))
  }
  expect(text).toContain(`Version: **${PROTOCOL_VERSION}**`)
})

test('[PD2] docs/codes.md and the close codes of docs/protocol.md are those of codes.ts', async () => {
  const codes = await read('codes.md')
  const documented = rows(codes, /^`[A-Z_]+`$/).map(([code = '', retry]) => [code.slice(1, -1), retry])
  expect(documented).toEqual(Object.entries(errorCodes).map(([code, { retry }]) => [code, retry ? 'yes' : 'no']))
  const expected = Object.entries(closeCodes)
    .map(([name, { code }]) => [String(code), name, reconnectPolicy(code)])
    .sort()
  expect(rows(codes, /^\d{4}$/).map(([code, name = '', policy]) => [code, name.slice(1, -1), policy])).toEqual(expected)
  expect(rows(await read('protocol.md'), /^\d{4}$/)).toEqual(expected)
})

test('[PD3] the limits of docs/protocol.md are those of limits.ts', async () => {
  const table = rows(await read('protocol.md'), /^`[a-z][A-Za-z]+`$/).filter(([, value = '']) => /^\d/.test(value))
  expect(table.length).toBeGreaterThan(10)
  const named = new Map<string, unknown>(Object.entries(limits))
  for (const [name = '', value = ''] of table) {
    expect(named.get(name.slice(1, -1)), name).toBe(Number.parseInt(value, 10))
  }
})
