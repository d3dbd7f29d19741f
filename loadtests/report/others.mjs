/**
 * What others cost by the same method on the same kind of machine, one core with their Redis: median or best of at least three
 * runs. `bar` is what this fleet is to reach, on Redis with history.
 */
export const columns = [
  'Centrifugo 6, Redis',
  'Centrifugo 6, memory',
  'Socket.IO 4.8, streams',
  'Socket.IO 4.8, memory',
]

/** By name: the figures of the others in the order of the columns, the bar, and whether more is better. */
export const others = {
  'path: messages/s, two cores, unpinned': { bar: 60_000, more: true },
  'path: CPU µs per message': { bar: 20 },
  'hot room 1,000: highest deliveries/s': { figures: [101_000, 967_000, 109_000, 111_000], bar: 1_000_000, more: true },
  'hot room 5,000: highest deliveries/s': { figures: [61_000, 129_000, 61_000, 61_000], bar: 500_000, more: true },
  'hot room 1,000, 25 events/s: CPU µs per delivery': { figures: [15.3, 12.8, 13.0, 13.7], bar: 12 },
  'hot room 1,000, 25 events/s: p99 ms': { figures: [22, 18, 16, 16], bar: 20 },
  'small rooms: highest deliveries/s': { figures: [36_000, 63_000, 42_000, 50_000], bar: 65_000, more: true },
  'small rooms, 2,000 events/s: CPU µs per delivery': { figures: [38.0, 26.1, 33.7, 27.8], bar: 22 },
  'small rooms, 2,000 events/s: p99 ms': { figures: [34, 22, 8, 6], bar: 8 },
  'two edges, 1,000 events/s × 10: CPU µs per delivery': { figures: [52.5, null, 66.7, null], bar: 28 },
  'two edges, 1,000 events/s × 10: p99 ms': { figures: [4, null, 13, null] },
  'idle: KB per connection': { figures: [48, 44, 12.5, 13.2], bar: 10 },
  'idle: connects/s': { figures: [2_800, 3_000, 960, 890], bar: 5_000, more: true },
  'idle: CPU ms per connect': { figures: [0.3, 0.19, 1.0, 1.0], bar: 0.17 },
  '5,000 resumes: seconds': { bar: 3 },
  '5,000 resumes: history reads per position': { bar: 1 },
  'slowest way to publish : fastest, CPU per message': { bar: 2 },
}
