import fc from 'fast-check'
import { beforeEach } from 'vitest'

/**
 * Properties over whole networks, and rules about hundreds of thousands of rooms or keys: some take a hundred times as long where
 * every expression is counted. Without them mutants can only survive that would be found, so the score is no better than it is.
 */
const volume = /\[(CT13|LN22|LN23|RM8|RM9|SP7)\]|\[RM7\] 200,000|\[SL1\] hashes the bytes|\[SL5\] for every/

// Of properties that leave it open.
fc.configureGlobal({ numRuns: 25 })

beforeEach((context) => {
  if (volume.test(context.task.name)) context.skip()
})
