import { z } from 'zod'
import type { Rate, RateClasses } from './rates.ts'
import { maxEventChars } from './room-name.ts'

/** Classes of events that one policy may name, and names of events of one class. */
export const maxClasses = 32
const maxClassEvents = 256
/** Of a rate: the events, and the time, ms. */
const maxRateEvents = 1_000_000
const maxRateMs = 86_400_000

const unitMs: ReadonlyMap<string, number> = new Map([
  ['s', 1_000],
  ['m', 60_000],
  ['min', 60_000],
  ['h', 3_600_000],
])
const rateForm = /^([1-9]\d{0,6})\/(\d{1,5})?(s|min|m|h)$/

const limit = z
  .string()
  .refine((text) => readRate(text) !== undefined, {
    error: 'a rate is a text like 100/min, 300/s or 10/10s, of 1,000,000 events and 24 h at the most',
  })
  .describe('`100/min`, `300/s`, `10/10s`: so many at once, and as many more in each such time.')
const rate = z.union([
  limit,
  z.strictObject({
    limit,
    per: z.enum(['user', 'connection']).optional().describe('Whose events are counted together; the user’s.'),
  }),
])
const className = z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/, { error: 'is not a class: a-z, then a-z, 0-9, - and _' })

export const classNames = z
  .record(className, z.array(z.string().min(1).max(maxEventChars)).min(1).max(maxClassEvents))
  .refine((value) => Object.keys(value).length <= maxClasses, { error: `at most ${maxClasses}` })
  .describe(
    'Events that are counted together, by class: `cursor.*` for all that begin so. The first class that lists an event has it.',
  )
export const rates = z
  .record(className, rate)
  .describe('How many events clients may publish, by class; `default` is for those that no class lists.')

interface Given {
  readonly classes?: z.infer<typeof classNames> | undefined
  readonly rates?: z.infer<typeof rates> | undefined
}

/** A class without a rate, or a rate without a class, is a slip of the pen that would leave something unlimited. */
export function classesFrom({
  classes = {},
  rates: given = {},
}: Given):
  | { readonly ok: true; readonly rates: RateClasses | null }
  | { readonly ok: false; readonly problems: readonly string[] } {
  const problems = [
    ...Object.keys(classes).flatMap((name) => (given[name] === undefined ? [`classes.${name}: has no rate`] : [])),
    ...Object.keys(given).flatMap((name) =>
      name === 'default' || classes[name] !== undefined ? [] : [`rates.${name}: there is no such class`],
    ),
    ...(classes['default'] === undefined ? [] : ['classes.default: is what no class lists']),
  ]
  if (problems.length > 0) return { ok: false, problems }
  if (Object.keys(given).length === 0) return { ok: true, rates: null }
  const byClass = Object.entries(given).map(([name, each]) => [name, rateFrom(each)] as const)
  return {
    ok: true,
    rates: {
      classes: Object.entries(classes).map(([name, events]) => ({ name, events })),
      rates: new Map(byClass),
    },
  }
}

function rateFrom(given: z.infer<typeof rate>): Rate {
  const { limit: text, per = 'user' } = typeof given === 'string' ? { limit: given } : given
  const { events, periodMs } = readRate(text) ?? { events: Number.NaN, periodMs: Number.NaN }
  return { limit: events, periodMs, per }
}

function readRate(text: string): { readonly events: number; readonly periodMs: number } | undefined {
  const found = rateForm.exec(text)
  if (found === null) return undefined
  const [, count = '', times = '1', unit = ''] = found
  const events = Number(count)
  const periodMs = Number(times) * (unitMs.get(unit) ?? Number.NaN)
  return events <= maxRateEvents && periodMs >= 1 && periodMs <= maxRateMs ? { events, periodMs } : undefined
}
