import { describe, expect, it } from 'vitest'
import { cursorEveryMs, cursorsIn } from './cursors.ts'
import type { CursorMove } from './cursors.ts'
import { harness, nothingElse, until } from './testing/harness.ts'

const room = 'document:9'

describe('cursors', () => {
  it('[TY3] of many moves less than 60 a second are told, the newest last (EV4, CL2)', async () => {
    const { pair } = await harness()
    const { client, peer } = await pair()
    const cursors = cursorsIn(client, room)
    const startedAt = performance.now()
    let x = 0
    const hand = setInterval(() => {
      for (let i = 0; i < 5; i += 1) cursors.move((x += 1), 0)
      if (x >= 300) clearInterval(hand)
    }, 4)
    const places: number[] = []
    while (places.at(-1) !== 300) {
      const { data, ...rest } = await peer.expect('publish')
      expect(rest).toMatchObject({ room, event: 'cursor.move', ephemeral: true, echo: false, conflate: 'cursor' })
      places.push((data as { readonly x: number }).x)
    }
    expect(places.length).toBeLessThanOrEqual((performance.now() - startedAt) / cursorEveryMs + 1)
    expect(places).toEqual(places.toSorted((a, b) => a - b))
    cursors.move(1, 2, { selected: 'a' })
    expect(await peer.expect('publish')).toMatchObject({ data: { x: 1, y: 2, extra: { selected: 'a' } } })
    await nothingElse(client, peer)
  })

  it('[TY3, TY4] moves of others are told, those of another form are not; closed, none is', async () => {
    const { pair } = await harness()
    const { client, peer } = await pair()
    const asked = client.subscribe(room)
    peer.ok(await peer.expect('subscribe'), { room, position: { epoch: '5.1', seq: 1 }, recovered: true, missed: 0 })
    await asked
    const [cursors, closed] = [cursorsIn(client, room), cursorsIn(client, room)]
    const moves: CursorMove[] = []
    cursors.onCursor((move) => moves.push(move))
    closed.onCursor((move) => moves.push(move))
    closed.move(1, 1)
    closed.move(2, 2)
    closed.close()
    expect(await peer.expect('publish')).toMatchObject({ data: { x: 1, y: 1 } })
    const move = (data: unknown, more: object = {}) =>
      peer.send({
        ...{ type: 'event', room, event: 'cursor.move', data },
        meta: { userId: 'bob', timestamp: '2026-01-01T00:00:00.000Z', ...more },
      })
    for (const wrong of [null, 7, { x: 1 }, { x: '1', y: 2 }]) move(wrong)
    move({ x: 1, y: 2, other: 3 })
    move({ x: 3, y: 4, extra: 5 }, { connectionId: 'c9' })
    await until(() => moves.length === 2, 'two moves')
    expect(moves).toEqual([
      { x: 1, y: 2, userId: 'bob', connectionId: undefined },
      { x: 3, y: 4, extra: 5, userId: 'bob', connectionId: 'c9' },
    ])
    await nothingElse(client, peer)
  })
})
