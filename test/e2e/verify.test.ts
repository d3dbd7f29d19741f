import { expect, test } from 'vitest'
import type { RoomLog, ViewStep } from '../../packages/core/sim/checks.ts'
import { incomplete } from './verify.ts'
import type { Seen } from './verify.ts'

const epoch = '1.1'
const event = (seq: number, message: string): ViewStep => ({ type: 'event', epoch, seq, message })
const seen = (...steps: ViewStep[]): Seen => ({
  acknowledged: ['a', 'b'].map((message, i) => ({ room: 'r', message, epoch, seq: i + 1 })),
  watches: [{ client: 'c', room: 'r', steps }],
})
const log = (...messages: string[]): Map<string, RoomLog> =>
  new Map([['r', { epoch, messages: messages.map((message, i) => ({ seq: i + 1, message })) }]])

test('[E2E7] the tests of processes find nothing in a whole history', () => {
  expect(incomplete(seen(event(1, 'a'), event(2, 'b')), log('a', 'b'))).toEqual([])
})

test.each<[string, Seen, Map<string, RoomLog>]>([
  ['an event that a client did not see', seen(event(1, 'a')), log('a', 'b')],
  ['an event seen twice', seen(event(1, 'a'), event(2, 'b'), event(2, 'b')), log('a', 'b')],
  ['another order', seen(event(2, 'b'), event(1, 'a')), log('a', 'b')],
  ['a log without an acknowledged message', seen(event(1, 'a')), log('a')],
  ['a log with a message nobody was told of', seen(event(1, 'a'), event(2, 'x')), log('a', 'x')],
  ['a log that begins late', seen(event(2, 'b')), new Map([['r', { epoch, messages: [{ seq: 2, message: 'b' }] }]])],
])('[E2E7] the tests of processes find %s', (_what, history, logs) => {
  expect(incomplete(history, logs)).not.toEqual([])
})
