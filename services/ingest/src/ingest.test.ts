import { expect, it } from 'vitest'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { createScope } from '@flotilla/node/scope'
import { createMemoryStore } from '@flotilla/node/store/memory'
import { startIngest } from './ingest.ts'
import { parseKeys } from './keys.ts'

it('[IN16] [IN21] a drain answers the requests under way and new ones for a while, and signs the member off', async () => {
  const log = createLog({ service: 'ingest', level: 'silent' })
  const scope = createScope(log)
  const store = createMemoryStore({ slots: 8, lanes: 2 })
  const keys = parseKeys('0123456789abcdef')
  const limits = { publishDeadlineMs: 300, closeFlushMs: 100 }
  const config = { host: '127.0.0.1', port: 0, keys, memberId: 'ingest-1', version: '0', maxInFlight: 10, limits }
  const ingest = await startIngest(config, { store, log, scope, metrics: createMetrics({ service: 'ingest' }) })
  expect(ingest.healthy).toBe(true)
  expect((await store.fleet.read()).members).toMatchObject([{ role: 'ingest', state: 'live' }])

  // No worker owns the slot, so the publish waits until its deadline.
  const url = `http://127.0.0.1:${ingest.port}/v1/events`
  const body = JSON.stringify({ room: 'public:a', event: 'e', id: 'x' })
  const post = () => fetch(url, { method: 'POST', headers: { authorization: 'Bearer 0123456789abcdef' }, body })
  const accepted = post()
  const slots = new Map(Array.from({ length: 8 }, (_, slot) => [slot, '0-0'] as const))
  const appended = async (): Promise<number> => {
    let entries = 0
    for (const lane of [0, 1]) {
      const cursors = new Map([...slots].filter(([slot]) => slot % 2 === lane))
      const read = await store.inputs.read(lane, cursors, { blockMs: 0, count: 10, signal: scope.signal })
      for (const list of read.values()) entries += list.length
    }
    return entries
  }
  await expect.poll(appended, { timeout: 5_000 }).toBe(1)
  const closed = ingest.close(500)
  const late = await post()
  expect([late.status, late.headers.get('connection')]).toEqual([503, 'close'])
  const response = await accepted
  expect([response.status, await response.json()]).toMatchObject([503, { code: 'UNKNOWN', id: 'x' }])
  await closed
  await expect(post()).rejects.toThrow('fetch failed')
  expect((await store.fleet.read()).members).toEqual([])
  await scope.close()
})
