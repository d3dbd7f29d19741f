import { connect, createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { Link } from './link.ts'
import type { Conditions, LinkCounters } from './link.ts'

/** Towards the server, towards the client, or both ways. */
export type Direction = 'up' | 'down' | 'both'

interface ProxyCounters {
  connections: number
  resets: number
  /** Replies that were swallowed after their request had been forwarded. */
  repliesLost: number
  readonly up: LinkCounters
  readonly down: LinkCounters
}

export interface FaultProxy {
  readonly port: number
  readonly open: number
  readonly counters: ProxyCounters
  /** Where connections made from now on go; those that are open stay where they are. */
  retarget(port: number): void
  /** From now on, for connections that are open and those to come. */
  set(direction: Direction, conditions: Conditions): void
  /** Both ways as if there was no proxy. */
  clear(): void
  /** Ends all connections with a RST to both sides. Returns how many there were. */
  reset(): number
  /** The next `count` answers of the server are swallowed, and the connection of each is reset. */
  loseReplies(count: number): void
  close(): Promise<void>
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
  readonly up: Link
  readonly down: Link
}

const counters = (): LinkCounters => ({ bytes: 0, segments: 0, heldBytes: 0, delayedChunks: 0 })

/** A TCP proxy in front of a loopback port that can be told to misbehave. */
export async function startProxy(target: number, random: () => number = Math.random): Promise<FaultProxy> {
  const proxy = new RunningProxy(target, random)
  await proxy.listen()
  return proxy
}

class RunningProxy implements FaultProxy {
  port = 0
  readonly counters: ProxyCounters = { connections: 0, resets: 0, repliesLost: 0, up: counters(), down: counters() }
  readonly #pairs = new Set<Pair>()
  readonly #random: () => number
  readonly #server: Server
  #target: number
  #conditions: { up: Conditions; down: Conditions } = { up: {}, down: {} }
  #toLose = 0

  constructor(target: number, random: () => number) {
    this.#target = target
    this.#random = random
    // A side that has ended may still be sent to: each direction ends for itself.
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client))
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    const address = this.#server.address()
    this.port = typeof address === 'object' && address !== null ? address.port : 0
  }

  get open(): number {
    return this.#pairs.size
  }
  retarget(port: number): void {
    this.#target = port
  }

  set(direction: Direction, conditions: Conditions): void {
    const { up, down } = this.#conditions
    this.#conditions = {
      up: direction === 'down' ? up : conditions,
      down: direction === 'up' ? down : conditions,
    }
    for (const pair of this.#pairs) this.#apply(pair)
  }
  clear(): void {
    this.set('both', {})
  }

  reset(): number {
    const count = this.#pairs.size
    for (const pair of this.#pairs) this.#end(pair, true)
    return count
  }
  loseReplies(count: number): void {
    this.#toLose = count
  }

  async close(): Promise<void> {
    for (const pair of this.#pairs) this.#end(pair, true)
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  #accept(client: Socket): void {
    this.counters.connections += 1
    const server = connect({ port: this.#target, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    const pair: Pair = {
      client,
      server,
      up: new Link({ from: client, to: server }, this.counters.up, this.#random, () => false),
      down: new Link({ from: server, to: client }, this.counters.down, this.#random, () => this.#swallow(pair)),
    }
    this.#pairs.add(pair)
    this.#apply(pair)
    for (const socket of [client, server]) {
      // A reset of one side is one for the other, unless nothing passes between them.
      socket.on('error', () => {
        if (this.#conditions.up.held !== true && this.#conditions.down.held !== true) this.#end(pair, true)
      })
      socket.on('close', () => {
        if (client.destroyed && server.destroyed) this.#end(pair, false)
      })
    }
  }

  #apply({ up, down }: Pair): void {
    up.set(this.#conditions.up)
    down.set(this.#conditions.down)
  }

  #swallow(pair: Pair): boolean {
    if (this.#toLose === 0) return false
    this.#toLose -= 1
    this.counters.repliesLost += 1
    this.#end(pair, true)
    return true
  }

  #end(pair: Pair, byReset: boolean): void {
    if (!this.#pairs.delete(pair)) return
    pair.up.stop()
    pair.down.stop()
    if (!byReset) return
    this.counters.resets += 1
    for (const socket of [pair.client, pair.server]) {
      // A socket that is still connecting cannot be reset.
      if (socket.connecting || socket.destroyed) socket.destroy()
      else socket.resetAndDestroy()
    }
  }
}
