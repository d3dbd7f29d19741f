// What stands in front of a tier: gives each connection to the next backend that says that it is ready.
import { connect, createServer } from 'node:net'
import { watchReady } from './ready.mjs'

/** `backends()`: `{ port, adminPort }` of each process. */
export async function startBalancer(backends) {
  const sockets = new Set()
  const ready = await watchReady(backends)
  let next = 0

  const server = createServer({ noDelay: true }, (client) => {
    next += 1
    const backend = ready.all[next % ready.all.length]
    if (backend === undefined) return client.destroy()
    const upstream = connect({ port: backend.port, host: '127.0.0.1', noDelay: true })
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ]) {
      sockets.add(one)
      one.on('error', () => one.destroy())
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
    }
    client.pipe(upstream).pipe(client)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: server.address().port,
    close: () => {
      ready.close()
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
