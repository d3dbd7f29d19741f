import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { until } from '../../fleet/until.ts'
import { startProxy } from './proxy.ts'
import type { FaultProxy } from './proxy.ts'

const cleanups: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

interface Peer {
  readonly socket: Socket
  text: string
  readonly chunks: string[]
  error: string | undefined
  ended: boolean
}

function listenTo(socket: Socket): Peer {
  const peer: Peer = { socket, text: '', chunks: [], error: undefined, ended: false }
  socket.setNoDelay(true)
  socket.on('data', (bytes: Buffer) => {
    peer.text += bytes.toString()
    peer.chunks.push(bytes.toString())
  })
  socket.on('error', (error: NodeJS.ErrnoException) => (peer.error = error.code))
  socket.on('end', () => (peer.ended = true))
  return peer
}

/** A server that answers each chunk with `re:` in front, and says who came. */
async function answering(mark: string): Promise<{ port: number; peers: Peer[] }> {
  const peers: Peer[] = []
  const server = createServer((socket) => {
    peers.push(listenTo(socket))
    socket.on('data', (bytes: Buffer) => socket.write(`${mark}${bytes.toString()}`))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => {
    for (const { socket } of peers) socket.destroy()
    server.close()
  })
  const address = server.address()
  return { port: typeof address === 'object' && address !== null ? address.port : 0, peers }
}

async function begin(): Promise<{ relay: FaultProxy; server: { port: number; peers: Peer[] } }> {
  const server = await answering('re:')
  const relay = await startProxy(server.port, () => 0.5)
  cleanups.push(() => relay.close())
  return { relay, server }
}

async function dial(port: number): Promise<Peer> {
  const peer = listenTo(connect({ port, host: '127.0.0.1' }))
  cleanups.push(() => void peer.socket.destroy())
  await once(peer.socket, 'connect')
  return peer
}

const heard = (peer: Peer, text: string): Promise<unknown> => until(`"${text}"`, () => peer.text === text, 5_000)

test('[FA4] what passes is whole and in order, and an end is passed on', async () => {
  const { relay, server } = await begin()
  const peer = await dial(relay.port)
  const large = 'x'.repeat(3_000_000)
  peer.socket.write(large)
  await until('all is back', () => peer.text.replaceAll('re:', '').length === large.length, 10_000)
  peer.socket.end()
  await until('the server saw the end', () => server.peers[0]?.ended)
  await until('the pair is gone', () => relay.open === 0)
  expect(relay.counters).toMatchObject({ connections: 1, resets: 0 })
})

test('[FA4] latency and jitter delay, and keep the order', async () => {
  const { relay } = await begin()
  relay.set('up', { latencyMs: 60, jitterMs: 40 })
  const peer = await dial(relay.port)
  const began = performance.now()
  peer.socket.write('a')
  await heard(peer, 're:a')
  expect(performance.now() - began).toBeGreaterThanOrEqual(79)
  expect(relay.counters.up.delayedChunks).toBe(1)
  relay.clear()
  peer.socket.write('b')
  await heard(peer, 're:are:b')
})

test('[FA4] bandwidth is limited', async () => {
  const { relay } = await begin()
  relay.set('down', { bytesPerSecond: 100_000 })
  const peer = await dial(relay.port)
  const began = performance.now()
  peer.socket.write('x'.repeat(20_000))
  await until('all is there', () => peer.text.replaceAll('re:', '').length === 20_000, 10_000)
  expect(performance.now() - began).toBeGreaterThan(100)
})

test('[FA4] one-byte segments arrive as the same bytes', async () => {
  const { relay } = await begin()
  relay.set('both', { sliceBytes: 1 })
  const peer = await dial(relay.port)
  peer.socket.write('abcdefgh')
  await until('all is there', () => peer.text.replaceAll('re:', '') === 'abcdefgh')
  expect(relay.counters.up.segments).toBe(8)
  expect(relay.counters.down.segments).toBe(relay.counters.down.bytes)
})

test.each(['up', 'down', 'both'] as const)(
  '[FA4] a partition %s is silent and ends without a loss',
  async (direction) => {
    const { relay, server } = await begin()
    const peer = await dial(relay.port)
    peer.socket.write('a')
    await heard(peer, 're:a')
    relay.set(direction, { held: true })
    peer.socket.write('b')
    if (direction === 'down') await until('it was forwarded', () => server.peers[0]?.text === 'ab')
    else await until('it waits', () => relay.counters.up.heldBytes === 1)
    expect(peer.text).toBe('re:a')
    expect(server.peers[0]?.text).toBe(direction === 'down' ? 'ab' : 'a')
    relay.clear()
    await heard(peer, 're:are:b')
  },
)

test('[FA4] half-open: one side may go away, the other is not told until it is over', async () => {
  const { relay, server } = await begin()
  const peer = await dial(relay.port)
  peer.socket.write('a')
  await heard(peer, 're:a')
  relay.set('both', { held: true })
  peer.socket.destroy()
  // A round trip by another way: the proxy has seen the end by then.
  const other = await dial(relay.port)
  other.socket.write('b')
  await until('the proxy has it', () => relay.counters.up.heldBytes === 1)
  expect(server.peers[0]).toMatchObject({ ended: false, error: undefined })
  relay.clear()
  await until('the server is told', () => server.peers[0]?.ended)
})

test('[FA4] a reset reaches both sides', async () => {
  const { relay, server } = await begin()
  const peer = await dial(relay.port)
  peer.socket.write('a')
  await heard(peer, 're:a')
  expect(relay.reset()).toBe(1)
  await until('the client is reset', () => peer.error)
  await until('the server is reset', () => server.peers[0]?.error)
  expect({ client: peer.error, server: server.peers[0]?.error, open: relay.open }).toEqual({
    client: 'ECONNRESET',
    server: 'ECONNRESET',
    open: 0,
  })
})

test('[FA4] a reply is lost after its request was forwarded', async () => {
  const { relay, server } = await begin()
  const peer = await dial(relay.port)
  relay.loseReplies(1)
  peer.socket.write('a')
  await until('the client is reset', () => peer.error)
  expect({ sent: server.peers[0]?.text, heard: peer.text, lost: relay.counters.repliesLost }).toEqual({
    sent: 'a',
    heard: '',
    lost: 1,
  })
  const again = await dial(relay.port)
  again.socket.write('b')
  await heard(again, 're:b')
})

test('[FA4] another target is for new connections, those that are open stay', async () => {
  const { relay } = await begin()
  const other = await answering('other:')
  const old = await dial(relay.port)
  old.socket.write('a')
  await heard(old, 're:a')
  relay.retarget(other.port)
  const fresh = await dial(relay.port)
  fresh.socket.write('b')
  old.socket.write('c')
  await heard(fresh, 'other:b')
  await heard(old, 're:are:c')
  expect(relay.open).toBe(2)
})

test('[FA4] a target where nobody listens resets the client', async () => {
  const { relay, server } = await begin()
  const unused = await startProxy(server.port)
  await unused.close()
  relay.retarget(unused.port)
  const peer = await dial(relay.port)
  await until('the client is reset', () => peer.error ?? (peer.ended ? 'ended' : undefined))
  expect(relay.open).toBe(0)
})
