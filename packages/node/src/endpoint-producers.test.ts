import { decodeInput } from '@flotilla/core/entry'
import { slotOf } from '@flotilla/core/slot'
import { afterEach, expect, it } from 'vitest'
import { Producers } from './endpoint-producers.ts'
import { createLog } from './log.ts'
import { createScope } from './scope.ts'
import { createMemoryStore } from './store/memory.ts'

const scope = createScope(createLog({ service: 'test', level: 'silent' }))
afterEach(() => scope.close())

const room = 'user:ann'
const connection = (id: string, change: 'open' | 'kept' | 'closed') =>
  ({ type: 'connection', room, connection: id, change, replaces: '', limit: 1 }) as const

it('[UC8] a connection that comes where too much waits is not told of; one that is there or ends always is', async () => {
  const store = createMemoryStore({ slots: 8, lanes: 2 })
  const producers = (maxWindowBytes: number) => new Producers({ boot: 'edge-1#a', store, scope, maxWindowBytes })
  const full = producers(0)
  expect(full.tell(connection('c1', 'open'))).toBe(false)
  expect(full.tell(connection('c2', 'kept'))).toBe(true)
  expect(full.tell(connection('c3', 'closed'))).toBe(true)
  const told = async () =>
    (await store.inputs.newest(slotOf(room, 8), 10)).flatMap(({ body }) => decodeInput(body)?.messages ?? [])
  await expect.poll(told, { timeout: 5_000 }).toMatchObject([
    { connection: 'c2', change: 'kept' },
    { connection: 'c3', change: 'closed' },
  ])
  const free = producers(1_000)
  expect(free.tell(connection('c1', 'open'))).toBe(true)
  free.refuse()
  expect(free.tell(connection('c4', 'open'))).toBe(false)
})
