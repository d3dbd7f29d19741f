import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'

export interface Balancer {
  readonly port: number
  /** Ends every connection at once. Returns how many there were. */
  cut(): number
  close(): Promise<void>
}

/** What a load balancer does for the edges: gives each connection to the next of them that accepts one. */
export async function startBalancer(ports: readonly number[]): Promise<Balancer> {
  const sockets = new Set<Socket>()
  let next = 0
  const server = createServer((client) => {
    sockets.add(client)
    client.on('error', () => client.destroy()).on('close', () => sockets.delete(client))
    next += 1
    forward(client, next, ports.length)
  })

  function forward(client: Socket, turn: number, attempts: number): void {
    const port = ports[turn % ports.length]
    if (port === undefined || attempts === 0 || client.destroyed) return void client.destroy()
    let connected = false
    const upstream = connect({ port, host: '127.0.0.1', noDelay: true })
    sockets.add(upstream)
    upstream.once('connect', () => {
      connected = true
      client.pipe(upstream).pipe(client)
    })
    upstream.on('error', () => {
      if (!connected) forward(client, turn + 1, attempts - 1)
    })
    upstream.on('close', () => {
      sockets.delete(upstream)
      if (connected) client.destroy()
    })
    client.on('close', () => upstream.destroy())
  }

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    cut: () => {
      const open = [...sockets]
      for (const socket of open) socket.resetAndDestroy()
      // Each connection has two of them.
      return Math.ceil(open.length / 2)
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      }),
  }
}
