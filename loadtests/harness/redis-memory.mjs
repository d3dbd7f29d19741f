// What the servers of a fleet hold.
import { sleep } from './processes.mjs'

/** Streams are trimmed once a second; memory has settled when it moved by less than this between two looks. */
const lookEveryMs = 1_200
const settledBytes = 16_384
const mostLooks = 10

/** Bytes of data of all primaries together, without the buffers of their connections. */
async function datasetBytes(fleet) {
  const sizes = await Promise.all(
    fleet.primaries.map(async (redis) => {
      const info = String(await redis.call('INFO', 'memory'))
      return Number(/used_memory_dataset:(\d+)/.exec(info)?.[1])
    }),
  )
  return sizes.reduce((sum, each) => sum + each, 0)
}

/** The same, once what was processed is trimmed. */
export async function settledDatasetBytes(fleet) {
  let last = await datasetBytes(fleet)
  for (let i = 0; i < mostLooks; i += 1) {
    await sleep(lookEveryMs)
    const now = await datasetBytes(fleet)
    if (Math.abs(now - last) < settledBytes) return now
    last = now
  }
  return last
}
