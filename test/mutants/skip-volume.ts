import { beforeEach } from 'vitest'

/**
 * Properties over whole networks, and rules about hundreds of thousands of rooms or keys: some take a hundred times as long where
 * every expression is counted. Without them mutants can only survive that would be found, so the score is no better than it is.
 */
const volume = /\[(CT13|FE1|LN22|LN23|RM8|RM9|RS1|SP7)\]|\[RM7\] 200,000|\[SL1\] hashes the bytes|\[SL5\] for every/

beforeEach((context) => {
  if (volume.test(context.task.name)) context.skip()
})
