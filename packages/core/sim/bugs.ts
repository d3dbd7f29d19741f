/**
 * Rules left out on purpose, one at a time, to see that the simulator finds it (issue: eight planted bugs). Each is made
 * outside the production code, by changing what passes between a reducer and its world.
 */
export const bugs = [
  'no fence',
  'no producer marks',
  'no vouching',
  'no generation',
  'cursor kept',
  'ack before commit',
  'partial replay',
  'client dedupes without epoch',
] as const
export type Bug = (typeof bugs)[number]
