import { expect, it } from 'vitest'
import type { Member } from '@flotilla/core/plan'
import { activeBoot, createJudge, figureOf } from './active.ts'

const member = (boot: string, startedAtMs: number, more: Partial<Member> = {}): Member => ({
  boot,
  role: 'ingest',
  state: 'live',
  beat: 1,
  startedAtMs,
  version: '0',
  figures: { [figureOf('crm')]: 1 },
  ...more,
})
const [first, second] = [member('a#1', 1), member('b#1', 2)]

it('[NS9] of the members that have the source the one that runs longest takes its messages', () => {
  expect(activeBoot([second, first], 'crm', 'b#1')).toBe('a#1')
  expect(activeBoot([second, first], 'other', 'b#1')).toBeUndefined()
  expect(activeBoot([member('a#1', 1, { state: 'draining' }), second], 'crm', 'b#1')).toBe('b#1')
  expect(activeBoot([member('a#1', 1, { figures: {} }), second], 'crm', 'b#1')).toBe('b#1')
  expect(activeBoot([member('a#1', 1, { role: 'edge' }), second], 'crm', 'b#1')).toBe('b#1')
  // Another boot of the same process has ended.
  expect(activeBoot([member('b#0', 1), second], 'crm', 'b#1')).toBe('b#1')
})

it('[NS9] one whose beat stands still for 5 s does not count', () => {
  const judge = createJudge()
  expect(judge([first, second], 0)).toHaveLength(2)
  expect(judge([first, { ...second, beat: 2 }], 4_999)).toHaveLength(2)
  expect(judge([first, { ...second, beat: 3 }], 5_000).map(({ boot }) => boot)).toEqual(['b#1'])
  expect(judge([{ ...first, beat: 2 }, second], 5_100)).toHaveLength(2)
})
