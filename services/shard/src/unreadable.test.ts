import { afterEach, expect, it } from 'vitest'
import { encodeLog } from '@flotilla/core/entry'
import { slotOf } from '@flotilla/core/slot'
import { createEndpoint, published } from '@flotilla/node/endpoint'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { createScope } from '@flotilla/node/scope'
import { createMemoryStore } from '@flotilla/node/store/memory'
import { startControl } from '../../control/src/control.ts'
import { startShard } from './shard.ts'

const shape = { slots: 4, lanes: 1 }
const room = 'public:a'
const slot = slotOf(room, shape.slots)
const other = ['public:b', 'public:c', 'public:d', 'public:e'].find((name) => slotOf(name, shape.slots) !== slot) ?? ''

const lines: string[] = []
const log = createLog({ service: 'test', level: 'error', destination: { write: (line) => lines.push(line) } })
const scope = createScope(log)
afterEach(() => scope.close())

const eventually = (what: string, holds: () => boolean) =>
  expect.poll(holds, { message: `within 15 s: ${what}`, timeout: 15_000, interval: 20 }).toBe(true)

const entry = (first: number, key: string): { lastSeq: number; body: string } => ({
  lastSeq: first,
  body: encodeLog(room, { inc: 1, tag: 1, first, timeMs: 0 }, [`alice\u001f${key}\u001f\u001f"event":"e","data":1`]),
})

it('[WK3] a room whose log ends with an entry of an unknown version is not served, its input stays; when it can be read the slot goes on', async () => {
  const store = createMemoryStore(shape)
  const setLog = (...log: { lastSeq: number; body: string }[]): void => {
    const data = store.model.snapshot()
    data.lanes[0]?.logs.set(room, { lines: log, expiresAtMs: Infinity })
    store.model.restore(data)
  }
  const [first, second] = [entry(1, 'k1'), entry(2, 'k2')]
  setLog(first, { ...second, body: `2${second.body.slice(1)}` })
  const metrics = createMetrics({ service: 'shard' })
  const common = { store, log, scope, version: '0' }
  await startControl(
    { memberId: 'c1', version: '0', host: '127.0.0.1', port: 0 },
    { ...common, metrics: createMetrics({ service: 'control' }) },
  )
  await startShard({ memberId: 's1', version: '0', drainTimeoutMs: 1_000 }, { ...common, metrics })
  const endpoint = await createEndpoint({
    ...{ role: 'edge', memberId: 'e1', publishDeadlineMs: 30_000 },
    ...common,
    ...{ onRecords: () => undefined, onResync: () => undefined },
  })
  const publish = (to: string, key: string): ReturnType<typeof published> =>
    published(endpoint, { room: to, key, sender: 'alice', options: '', tail: '"event":"e","data":2' })

  const waiting = publish(room, 'k3')
  expect(await publish(other, 'k')).toMatchObject({ type: 'committed', seq: 1 })
  await eventually('the worker says why', () => lines.length > 0)
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    ...{ level: 'error', room, slot, code: 'UNREADABLE_LOG' },
    error: `entry 2-0 in the log of room ${room} is not of a form that this version reads`,
  })
  expect((await metrics.render()).body).toMatch(/flotilla_shard_unreadable_logs_total\{[^}]*\} [1-9]/)
  // However much comes for it, its neighbours go on.
  const large = `"event":"e","data":"${'x'.repeat(900_000)}"`
  const behind = Array.from({ length: 20 }, (_, i) =>
    published(endpoint, { room, key: `large${i}`, sender: 'alice', options: '', tail: large }),
  )
  const appended = (): number => store.model.read(0, new Map([[slot, '0-0']]), 100).get(slot)?.length ?? 0
  await eventually('all of it is in the input', () => appended() > 20)
  for (let i = 0; i < 30; i++) expect(await publish(other, `later${i}`)).toMatchObject({ type: 'committed' })
  const kept = store.model.read(0, new Map([[slot, '0-0']]), 10).get(slot)
  expect(kept?.some(({ body }) => body.includes('k3'))).toBe(true)
  expect(store.model.snapshot().lanes[0]?.logs.get(room)?.lines).toHaveLength(2)

  setLog(first, second)
  expect(await waiting).toMatchObject({ type: 'committed', seq: 3 })
  expect((await Promise.all(behind)).map(({ type }) => type)).toEqual(behind.map(() => 'committed'))
  const keys = store.model.roomRange(room, 0, 100).flatMap(({ messages }) => messages.map(({ key }) => key))
  expect(keys).toEqual(['k1', 'k2', 'k3', ...behind.map((_, i) => `large${i}`)])
}, 30_000)
