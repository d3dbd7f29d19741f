import { onTestFinished } from 'vitest'
import WebSocket from 'ws'
import { connect } from '../client.ts'
import type { Client, ConnectOptions, RoomEvent } from '../client.ts'
import { startFakeServer } from './fake-server.ts'
import type { FakeServer, Peer } from './fake-server.ts'

export interface Harness {
  readonly server: FakeServer
  /** Quick and without jitter unless the options say otherwise. */
  connect(options?: Partial<ConnectOptions>): Promise<Client>
  /** A client, and the server's end of its connection. */
  pair(options?: Partial<ConnectOptions>, rooms?: readonly string[]): Promise<{ client: Client; peer: Peer }>
  readonly logged: string[]
}

/** A fake server and clients that end with the test. */
export async function harness(): Promise<Harness> {
  const server = await startFakeServer()
  const clients: Client[] = []
  const logged: string[] = []
  onTestFinished(async () => {
    for (const client of clients) client.close()
    await server.close()
  })
  const start = async (options: Partial<ConnectOptions> = {}): Promise<Client> => {
    const quick = { minMs: 1, maxMs: 5 }
    const client = await connect({
      url: server.url,
      token: 'token',
      WebSocket,
      random: () => 0,
      log: (message) => logged.push(message),
      ...options,
      reconnect: { ...quick, ...options.reconnect },
    })
    clients.push(client)
    return client
  }
  const pair = async (options: Partial<ConnectOptions> = {}, rooms: readonly string[] = []) => {
    const started = start(options)
    const peer = await server.accept()
    await peer.welcome(rooms)
    return { client: await started, peer }
  }
  return { server, connect: start, pair, logged }
}

/** Waits until it is true; fails after 5 s. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 5_000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`it did not come about: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** The numbers of the events heard, in order. */
export function numbers(events: readonly RoomEvent[]): (number | undefined)[] {
  return events.map((event) => event.position?.seq)
}

/** The error a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => Promise.reject(new Error(`it resolved with ${JSON.stringify(value)}`)),
    (error: unknown) => error,
  )
}

/** Fails when the client had sent anything that the test has not taken: an ephemeral event must be the next frame. */
export async function nothingElse(client: Client, peer: Peer): Promise<void> {
  await client.publish('public:fence', 'fence', null, { ephemeral: true })
  const frame = await peer.expect('publish')
  if (frame.event !== 'fence') throw new Error(`not expected: ${JSON.stringify(frame)}`)
}
