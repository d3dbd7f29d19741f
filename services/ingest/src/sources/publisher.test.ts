import { expect, it } from 'vitest'
import { StoreError } from '@flotilla/node/store/port'
import { listEndpoint } from '../../test/harness.ts'
import { createPublisher } from './publisher.ts'

const event = { rooms: ['public:a'], options: '', tail: '"data":1', ephemeral: false }
const overloaded = { type: 'refused', code: 'OVERLOADED', retryAfterMs: 1 } as const

function begin(ordered = true) {
  const list = listEndpoint()
  let retries = 0
  const publish = createPublisher({
    endpoint: list.endpoint,
    sender: 'source:s',
    ordered,
    retried: () => {
      retries += 1
    },
  })
  const { signal } = new AbortController()
  return { ...list, publish, signal, retries: () => retries }
}

it('[NS8] an event whose key may be forgotten is looked for in the log of its room before it is published', async () => {
  const { publish, signal, outcomes, rooms, fault, retries } = begin()
  await publish({ event, key: 'k', old: false, signal })
  // Whatever is published now is refused.
  outcomes.set('public:a', overloaded)
  expect(await publish({ event, key: 'k', old: true, signal })).toEqual({ type: 'published' })
  expect(retries()).toBe(0)
  outcomes.clear()
  // While the log cannot be read it is not published.
  fault.error = new StoreError('refused', 'away')
  const later = publish({ event, key: 'other', old: true, signal })
  await expect.poll(retries).toBeGreaterThan(0)
  expect(rooms.get('public:a')?.map(({ key }) => key)).toEqual(['k'])
  fault.error = null
  expect(await later).toEqual({ type: 'published' })
  expect(rooms.get('public:a')?.map(({ key }) => key)).toEqual(['k', 'other'])
})

it('[NS12] what waits to be tried again is given up when it has to be', async () => {
  const { publish, outcomes, retries } = begin()
  outcomes.set('public:a', overloaded)
  const abandon = new AbortController()
  const both = ['k', 'l'].map((key) => publish({ event, key, old: false, signal: abandon.signal }))
  await expect.poll(retries).toBeGreaterThan(0)
  abandon.abort()
  expect(await Promise.all(both)).toEqual([{ type: 'abandoned' }, { type: 'abandoned' }])
})

it('[NS10] an event that has to wait holds up the others of its room, unless the source is without order', async () => {
  for (const ordered of [true, false]) {
    const { publish, signal, outcomes, rooms } = begin(ordered)
    outcomes.set('public:a', overloaded)
    const first = publish({ event, key: 'first', old: false, signal })
    outcomes.clear()
    const second = publish({ event, key: 'second', old: false, signal })
    await Promise.all([first, second])
    expect(rooms.get('public:a')?.map(({ key }) => key)).toEqual(ordered ? ['first', 'second'] : ['second', 'first'])
  }
})

it('[NS16] an ephemeral event is sent, and not waited for', async () => {
  const { publish, signal, rooms, ephemeral } = begin()
  const sent = { ...event, ephemeral: true }
  expect(await publish({ event: sent, key: 'k', old: false, signal })).toEqual({ type: 'published' })
  expect([rooms.size, ephemeral.length]).toEqual([0, 1])
})
