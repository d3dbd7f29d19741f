import { expect, test } from 'vitest'
import { evidenceOf, unproved } from './evidence.ts'

test('[FA5] what was there before the fault proves nothing', () => {
  const slots = { slotsTakenOver: 128 }
  expect(evidenceOf({ killed: 1 }, slots, { slotsTakenOver: 192 })).toEqual({ killed: 1, slotsTakenOver: 64 })
  expect(unproved(evidenceOf({ killed: 1 }, slots, slots))).toEqual(['it did not happen: slotsTakenOver is 0'])
})

test('[FA5] a fault that counted nothing did not happen', () => {
  expect(unproved(evidenceOf({ killed: 1 }, {}, {}))).toEqual([])
  expect(unproved({ killed: 0, closed: 2 })).toEqual(['it did not happen: killed is 0'])
  expect(unproved({})).toEqual(['it did not happen: nothing was counted'])
})

test('[FA5] what must not happen is looked at, and did not', () => {
  const never = ['membersRemoved']
  expect(unproved({ stalled: 1, membersRemoved: 0 }, never)).toEqual([])
  expect(unproved({ stalled: 1, membersRemoved: 2 }, never)).toEqual(['it must not happen: membersRemoved is 2'])
  expect(unproved({ stalled: 1 }, never)).toEqual(['it must not happen: membersRemoved is not counted'])
  expect(unproved({ membersRemoved: 0 }, never)).toEqual(['it did not happen: nothing was counted'])
})
