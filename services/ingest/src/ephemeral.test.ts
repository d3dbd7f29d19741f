import { describe, expect, it } from 'vitest'
import { readOptions } from '@flotilla/core/event-options'
import { maxConflatedDataBytes } from '@flotilla/core/limits'
import { harness } from '../test/harness.ts'

describe('options of a posted event', () => {
  it('[EC2] a conflation key travels with the name of the ingest key, and has less data', async () => {
    const { post, ephemeral } = await harness()
    const body = { room: 'public:a', event: 'price', ephemeral: true, conflate: 'EURUSD' }
    expect(await post({ ...body, data: 1 })).toMatchObject({ status: 202 })
    expect(readOptions(ephemeral[0]?.options ?? '').conflate).toBe('key:crm EURUSD')
    expect(await post({ ...body, data: 'x'.repeat(maxConflatedDataBytes) })).toMatchObject({
      code: 'PAYLOAD_TOO_LARGE',
    })
    expect(ephemeral).toHaveLength(1)
  })

  it.each([{ conflate: 'k' }, { conflate: '', ephemeral: true }, { conflate: 'a\u0007', ephemeral: true }])(
    '[EC2] %j is refused',
    async (more) => {
      const { post, rooms, ephemeral } = await harness()
      expect(await post({ room: 'public:a', event: 'e', ...more })).toMatchObject({ code: 'VALIDATION_ERROR' })
      expect([rooms.size, ephemeral.length]).toEqual([0, 0])
    },
  )

  it('[TT1] a time to live travels as the time when it is over, and is of durable events', async () => {
    const { post, rooms } = await harness()
    const before = Date.now()
    await post({ room: 'public:a', event: 'e', ttl: 60_000 })
    const { until = 0 } = readOptions(rooms.get('public:a')?.[0]?.options ?? '')
    expect(until).toBeGreaterThanOrEqual(before + 60_000)
    expect(until).toBeLessThanOrEqual(Date.now() + 60_000)
    for (const more of [{ ttl: 999 }, { ttl: 86_400_001 }, { ttl: 5_000, ephemeral: true }])
      expect(await post({ room: 'public:a', event: 'e', ...more })).toMatchObject({ code: 'VALIDATION_ERROR' })
  })
})
