import { createLog } from '@flotilla/node/log'
import { createScope } from '@flotilla/node/scope'
import { expect, onTestFinished, test } from 'vitest'
import { createLag } from './lag.ts'

test('[DR7] tells the longest time by which the loop was late in the last two seconds, also while it is', async () => {
  const scope = createScope(createLog({ service: 'test', level: 'silent' }))
  onTestFinished(() => scope.close())
  const lagMs = createLag(scope)
  const until = performance.now() + 400
  while (performance.now() < until);
  expect(lagMs()).toBeGreaterThanOrEqual(250)
  // Who looks does not take it from the next one.
  expect(lagMs()).toBeGreaterThanOrEqual(250)
  await expect.poll(() => lagMs(), { interval: 150, timeout: 5_000 }).toBeLessThan(100)
})
