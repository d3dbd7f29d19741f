import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeLog, encodeLogMessage } from '@flotilla/core/entry'
import { traceIn, tracesInLog, withTrace } from './trace-context.ts'

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
const chosen = fc.oneof(
  fc.constant(''),
  fc.dictionary(fc.string(), fc.jsonValue()).map((value) => JSON.stringify(value)),
)

test('[OT1] options keep what they had, and have the trace', () => {
  fc.assert(
    fc.property(chosen, (options) => {
      const traced = withTrace(options, traceparent)
      const { trace, ...rest } = JSON.parse(traced) as Record<string, unknown>
      const { trace: _, ...before } = (options === '' ? {} : JSON.parse(options)) as Record<string, unknown>
      expect(trace).toBe(traceparent)
      expect(rest).toEqual(before)
      expect(traceIn(traced)).toBe(traceparent)
    }),
  )
})

test('[OT1] what only looks like a trace is none: in the data, in a value, cut short', () => {
  const looks = `{"trace":"${traceparent}"}`
  expect(traceIn(looks)).toBe(traceparent)
  for (const options of [
    '',
    '{}',
    '{"except":["a"]}',
    looks.slice(1),
    looks.slice(0, -1),
    `${looks} `,
    `{"x":${looks}}`,
  ])
    expect(traceIn(options)).toBeUndefined()
  const log = (options: string, tail: string): string =>
    encodeLog('public:a', { inc: 1, tag: 1, first: 1, timeMs: 0 }, [
      encodeLogMessage({ sender: 'a', key: 'k1', options, tail }),
      encodeLogMessage({ sender: 'a', key: 'k2', options: '', tail }),
    ])
  expect(tracesInLog(log('', `"data":${looks}`))).toEqual([])
  expect(tracesInLog(log(looks, '"data":1'))).toEqual([traceparent])
  expect(tracesInLog(`${looks} of no known form`)).toEqual([])
})
