import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { Client, useReadyEdge, token, until } from '../test/fleet.ts'

const here = useReadyEdge()
test('[EG35] a consumer that does not read is closed with 4008 once 1 MiB waits for it; others are not held up (LM3)', async () => {
  const busy = 'public:busy'
  const socket = connect(here.edge.port, '127.0.0.1')
  const chunks: Buffer[] = []
  socket.on('error', () => undefined)
  const key = 'MDEyMzQ1Njc4OWFiY2RlZg=='
  const headers = [
    'Host: x',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${key}`,
    `Authorization: Bearer ${token('slow')}`,
  ]
  socket.write(`GET /ws HTTP/1.1\r\n${headers.join('\r\n')}\r\n\r\n`)
  socket.write(masked(JSON.stringify({ type: 'subscribe', id: 1, room: busy })))
  socket.on('data', (chunk) => chunks.push(chunk))
  await until('it is subscribed', () => Buffer.concat(chunks).includes('"id":1,'))
  socket.pause()
  const connections = here.edge.connections
  const reader = await Client.open(here.edge.port, 'reader')
  await reader.subscribe(busy)
  let published = 0
  // The kernel's buffers take some megabytes first.
  for (; published < 200 && here.edge.connections > connections; published++)
    await reader.publish(busy, 'x'.repeat(100_000))
  expect(here.edge.connections).toBe(connections)
  await until('the reader has everything', () => reader.events(busy).length === published)
  expect(reader.closed).toBeUndefined()
  let ended = false
  socket.on('close', () => (ended = true))
  socket.resume()
  await until('the socket is closed', () => ended)
  expect(Buffer.concat(chunks).includes(Buffer.concat([Buffer.from([0x0f, 0xa8]), Buffer.from('slow consumer')]))).toBe(
    true,
  )
  await reader.end()
})

/** A client's frame of at most 125 bytes; the mask is zero. */
function masked(text: string): Buffer {
  return Buffer.concat([Buffer.from([0x81, 0x80 | Buffer.byteLength(text), 0, 0, 0, 0]), Buffer.from(text)])
}

test('[EG36] a connection that was closed leaves nothing behind, whatever it still sends', async () => {
  const lonely = await here.fleet.edge()
  const client = await Client.open(lonely.port, 'mallory')
  const answers = client.of('ok').length
  client.send(Buffer.from('x'))
  for (let id = 0; id < 50; id++) client.send({ type: 'subscribe', id, room: `public:late${id}` })
  expect(await client.closedWith()).toBe(1003)
  await until('the connection is gone', () => lonely.connections === 0)
  expect(client.of('ok')).toHaveLength(answers)
  await until('all rooms are forgotten', () => lonely.rooms === 0)
})
