import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'
import { hardBufferBytes, softBufferBytes, stuckSocketMs } from '@flotilla/core/limits'
import { expect, test } from 'vitest'
import { until } from '../test/fleet.ts'
import { behind, createReading, isSlow, isStuck, isTooSlow, mayReplay, queuedBytes } from './pressure.ts'

test('[EG37] slow is who has left the limit unread already, not who is given much at once', () => {
  const reading = { ...createReading(0), written: 50_000_000 }
  expect(isTooSlow(reading, 0)).toBe(false)
  expect(isTooSlow(reading, hardBufferBytes)).toBe(false)
  expect(isTooSlow(reading, hardBufferBytes + 1)).toBe(true)
  expect([isSlow(reading, softBufferBytes), isSlow(reading, softBufferBytes + 1)]).toEqual([false, true])
})

test('[EG31] only what is unread behind the last replay counts', () => {
  const reading = { ...createReading(0), written: 9_000_000, replayEnd: 8_500_000 }
  expect(behind(reading, 6_000_000)).toBe(500_000)
  expect(behind(reading, 400_000)).toBe(400_000)
  expect(isTooSlow(reading, 6_000_000)).toBe(false)
  expect(isTooSlow({ ...reading, written: 8_500_000 + hardBufferBytes + 1 }, 6_000_000)).toBe(true)
  expect([mayReplay(hardBufferBytes), mayReplay(hardBufferBytes + 1)]).toEqual([true, false])
})

test('[EG38] a socket is stuck after 10 s without progress, not when it is slow', () => {
  const stuck = { ...createReading(0), written: 900_000 }
  expect(isStuck(stuck, { nowMs: 0, unread: 800_000, queued: 800_000 })).toBe(false)
  expect(isStuck(stuck, { nowMs: stuckSocketMs, unread: 800_000, queued: 800_000 })).toBe(false)
  expect(isStuck(stuck, { nowMs: stuckSocketMs + 1, unread: 800_000, queued: 800_000 })).toBe(true)
  const steady = { ...createReading(0), written: 900_000 }
  for (let second = 0; second < 100; second++) {
    // One long write: it counts as unread until its last byte is gone, but the kernel takes it bit by bit.
    expect(isStuck(steady, { nowMs: second * 1_000, unread: 800_000, queued: 800_000 - second })).toBe(false)
    steady.written += 10
  }
  const idle = createReading(0)
  expect(isStuck(idle, { nowMs: 100_000, unread: 0, queued: 0 })).toBe(false)
})

test('[EG38] what a slow reader takes of one long write is seen', async () => {
  const accepted: Socket[] = []
  const server = createServer((socket) => accepted.push(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const client = connect(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1')
  try {
    await until('it is accepted', () => accepted.length === 1)
    const [socket] = accepted
    if (socket === undefined) throw new Error('no socket')
    client.pause()
    socket.write(Buffer.alloc(32_000_000))
    await until('the kernel is full', () => queuedBytes(socket) > 0 && queuedBytes(socket) < 32_000_000)
    const [unread, queued] = [socket.writableLength, queuedBytes(socket)]
    let read = 0
    client.on('data', (chunk) => {
      read += chunk.length
      if (read > 8_000_000) client.pause()
    })
    client.resume()
    await until('the kernel takes more', () => queuedBytes(socket) < queued)
    expect(socket.writableLength).toBe(unread)
  } finally {
    for (const each of [client, ...accepted]) each.destroy()
    server.close()
  }
})
