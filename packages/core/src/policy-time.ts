import { z } from 'zod'

/** `30s`, `5m`, `24h` or a number of ms, up to `maxMs`; `limit` says so to people. */
export function duration(maxMs: number, limit: string) {
  return z
    .union([
      z.number().int().min(0).max(maxMs),
      z
        .string()
        .regex(/^\d{1,9}(ms|s|m|h)$/, { error: 'a time is a text like 250ms, 30s, 5m or 24h, or a number of ms' })
        .refine((value) => !(toMs(value) > maxMs), { error: limit }),
    ])
    .describe('`30s`, `5m`, `24h`, or ms.')
}

const unitMs: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['m', 60_000],
  ['h', 3_600_000],
])

/** NaN for a unit that there is not. */
export function toMs(value: string | number): number {
  if (typeof value === 'number') return value
  return Number.parseInt(value, 10) * (unitMs.get(value.replace(/^\d+/, '')) ?? Number.NaN)
}
