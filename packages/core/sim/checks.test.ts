import { describe, expect, it } from 'vitest'
import { check } from './checks.ts'
import type { History, ViewStep } from './checks.ts'

const event = (seq: number, message: string, epoch = '1.5'): ViewStep => ({ type: 'event', epoch, seq, message })
const position = (seq: number, recovered: boolean, epoch = '1.5'): ViewStep => ({
  type: 'position',
  epoch,
  seq,
  recovered,
})

const good: History = {
  acknowledged: [{ room: 'r', message: 'a', epoch: '1.5', seq: 1, committed: true }],
  refused: [{ room: 'r', message: 'z' }],
  views: [
    { client: 'c1', room: 'r', steps: [position(0, true, '1.0.9'), position(0, true), event(1, 'a'), event(2, 'b')] },
    { client: 'c2', room: 'r', steps: [position(1, true), event(2, 'b'), position(2, true)] },
  ],
  applied: [
    { slot: 0, epoch: 1, n: 1 },
    { slot: 0, epoch: 1, n: 2 },
    { slot: 0, epoch: 2, n: 3 },
  ],
  logs: new Map([
    [
      'r',
      {
        epoch: '1.5',
        messages: [
          { seq: 1, message: 'a' },
          { seq: 2, message: 'b' },
        ],
      },
    ],
  ]),
}
const view = (...steps: ViewStep[]): History => ({ ...good, views: [{ client: 'c', room: 'r', steps }] })
const log = (...messages: { seq: number; message: string }[]): History => ({
  ...good,
  views: [],
  logs: new Map([['r', { epoch: '1.5', messages }]]),
})

describe('the checks of the simulator', () => {
  it('[SM1] find nothing in a history that keeps the promises', () => {
    expect(check(good)).toEqual([])
    expect(check(view(position(1, false), event(2, 'b'), position(7, false, '3.1'), event(8, 'b', '3.1')))).toEqual([])
  })

  it.each<[string, History]>([
    ['early', { ...good, acknowledged: good.acknowledged.map((each) => ({ ...each, committed: false })) }],
    ['lost', log({ seq: 2, message: 'b' })],
    ['lost', { ...good, views: [], logs: new Map() }],
    ['phantom', log({ seq: 1, message: 'a' }, { seq: 2, message: 'z' })],
    ['agreement', view(position(0, true), event(1, 'b'))],
    ['contiguity', view(position(0, true), event(2, 'b'))],
    ['contiguity', view(position(0, true), event(1, 'a'), position(2, true))],
    ['contiguity', view(position(0, true), event(1, 'a'), position(1, true, '2.5'))],
    ['duplicate', log({ seq: 1, message: 'a' }, { seq: 2, message: 'a' })],
    ['duplicate', view(position(0, true), event(1, 'a'), event(1, 'a'))],
    [
      'single writer',
      {
        ...good,
        applied: [
          { slot: 0, epoch: 2, n: 3 },
          { slot: 0, epoch: 1, n: 4 },
        ],
      },
    ],
    [
      'single writer',
      {
        ...good,
        applied: [
          { slot: 0, epoch: 1, n: 1 },
          { slot: 0, epoch: 1, n: 3 },
        ],
      },
    ],
  ])('[SM1] find a planted fault: %s', (name, history) => {
    expect(check(history).map((violation) => violation.check)).toContain(name)
  })
})
