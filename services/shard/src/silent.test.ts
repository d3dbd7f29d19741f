import { afterEach, expect, it } from 'vitest'
import { slotOf } from '@flotilla/core/slot'
import { createEndpoint, published } from '@flotilla/node/endpoint'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { createScope } from '@flotilla/node/scope'
import { createMemoryStore } from '@flotilla/node/store/memory'
import type { Store } from '@flotilla/node/store/port'
import { startControl } from '../../control/src/control.ts'
import { startShard } from './shard.ts'

const shape = { slots: 4, lanes: 1 }
const room = 'public:a'
const log = createLog({ service: 'test', level: 'silent' })
const scope = createScope(log)
afterEach(() => scope.close())

const eventually = (what: string, holds: () => boolean) =>
  expect.poll(holds, { message: `within 15 s: ${what}`, timeout: 15_000, interval: 20 }).toBe(true)

it('[WK5] a worker whose heartbeats are not answered takes no new input, and goes on when they are', async () => {
  const memory = createMemoryStore(shape)
  let reads = 0
  let endedAt = 0
  let silence: Promise<void> | undefined
  const store: Store = {
    ...memory,
    fleet: {
      ...memory.fleet,
      heartbeat: async (...args) => {
        await silence
        return memory.fleet.heartbeat(...args)
      },
    },
    inputs: {
      ...memory.inputs,
      read: async (...args) => {
        reads += 1
        return memory.inputs.read(...args).finally(() => {
          reads -= 1
          endedAt = performance.now()
        })
      },
    },
  }
  const common = { log, scope, version: '0' }
  const metrics = (service: string) => ({ metrics: createMetrics({ service }) })
  const control = { memberId: 'c1', version: '0', host: '127.0.0.1', port: 0 }
  await startControl(control, { ...common, store: memory, ...metrics('control') })
  const options = { memberId: 's1', version: '0', drainTimeoutMs: 1_000 }
  const shard = await startShard(options, { ...common, store, ...metrics('shard') })
  const endpoint = await createEndpoint({
    ...{ role: 'edge', memberId: 'e1', publishDeadlineMs: 30_000, store: memory },
    ...common,
    ...{ onRecords: () => undefined, onResync: () => undefined },
  })
  const publish = (key: string) =>
    published(endpoint, { room, key, sender: 'alice', options: '', tail: '"event":"e","data":1' })
  expect(await publish('k1')).toMatchObject({ type: 'committed', seq: 1 })

  let answer: () => void = () => {}
  silence = new Promise((resolve) => (answer = resolve))
  // Between two reads it rests for a few ms.
  await eventually('it reads no more', () => reads === 0 && performance.now() - endedAt > 500)
  expect(shard.healthy).toBe(false)
  const waiting = publish('k2')
  const slot = slotOf(room, shape.slots)
  await eventually(
    'it is in the input',
    () => memory.model.read(0, new Map([[slot, '0-0']]), 10).get(slot)?.length === 2,
  )
  expect([reads, memory.model.roomRange(room, 0, 10).length]).toEqual([0, 1])
  silence = undefined
  answer()
  expect(await waiting).toMatchObject({ type: 'committed', seq: 2 })
}, 60_000)
