import { expect, it } from 'vitest'
import { createProducer, stepProducer } from './producer.ts'
import { maxWindowBytes } from './limits.ts'

it('[PR17] what is appended for a slot that nobody serves stays within a small multiple of the window', () => {
  const budget = { used: 0, max: maxWindowBytes }
  const producers = Array.from({ length: 64 }, () => createProducer('e#1', budget))
  let appended = 0
  let now = 0
  const step = (p: (typeof producers)[number], input: Parameters<typeof stepProducer>[1]): void => {
    for (const effect of stepProducer(p, input, now)) {
      if (effect.type !== 'append') continue
      appended += effect.body.length
      if (effect.attempt > 0) step(p, { type: 'appended', attempt: effect.attempt })
    }
  }
  producers.forEach((p, s) => {
    for (let i = 0; i < 20; i++)
      step(p, {
        type: 'publish',
        id: i,
        deadlineAtMs: 10_000,
        message: {
          type: 'publish',
          room: `public:${s}`,
          key: `k${i}`,
          sender: 'a',
          options: '',
          tail: 'x'.repeat(50_000),
        },
      })
    step(p, { type: 'tick' })
  })
  const first = appended
  for (let minute = 1; minute <= 10; minute++) {
    for (let t = 0; t < 60_000; t += 50) {
      now += 50
      for (const p of producers) step(p, { type: 'tick' })
    }
  }
  expect(appended).toBeLessThan(20 * first)
})
