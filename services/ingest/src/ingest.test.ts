import { once } from 'node:events'
import { connect } from 'node:net'
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

it.each([
  ['no HTTP', 400, 'HELLO\r\n\r\n'],
  [
    'half a request',
    400,
    'POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer 0123456789abcdef\r\nContent-Length: 9\r\n\r\n{"room"',
  ],
  ['a length that is none', 400, 'POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n'],
  ['two lengths', 400, 'POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'],
  ['no host', 400, 'GET /openapi.json HTTP/1.1\r\nConnection: close\r\n\r\n'],
  ['headers that are too long', 431, `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(17_000)}\r\n\r\n`],
  ['an expectation', 401, 'POST /v1/events HTTP/1.1\r\nHost: x\r\nExpect: wonders\r\nContent-Length: 0\r\n\r\n'],
])('[HT9] %s is answered %d with a problem document', async (_, status, text) => {
  const log = createLog({ service: 'ingest', level: 'silent' })
  const scope = createScope(log)
  const store = createMemoryStore({ slots: 8, lanes: 2 })
  const keys = parseKeys('0123456789abcdef')
  const config = { host: '127.0.0.1', port: 0, keys, memberId: 'ingest-1', version: '0', maxInFlight: 10 }
  const ingest = await startIngest(config, { store, log, scope, metrics: createMetrics({ service: 'ingest' }) })
  const socket = connect({ port: ingest.port, host: '127.0.0.1' })
  let answer = ''
  socket.on('data', (data) => (answer += data.toString()))
  socket.end(text)
  await once(socket, 'close')
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(head).toMatch(/\r\nContent-Type: application\/problem\+json; charset=utf-8\r\n/i)
  expect(JSON.parse(body)).toMatchObject({ status, code: status === 401 ? 'UNAUTHORIZED' : 'VALIDATION_ERROR' })
  await ingest.close()
  await scope.close()
})
