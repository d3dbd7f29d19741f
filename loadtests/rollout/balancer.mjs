// What stands in front of a tier: gives each connection to the next backend that says that it is ready.
import { connect, createServer } from 'node:net'
import { clock } from '../harness/samples.mjs'

const checkEveryMs = 250

/** `backends()`: `{ port, adminPort }` of each process. `openedAtMs`: when each connection was passed on, ms since 1970. */
export async function startBalancer(backends) {
  const sockets = new Set()
  const openedAtMs = []
  let ready = []
  let next = 0

  async function check() {
    const states = await Promise.all(
      backends().map(async (backend) => {
        const ok = await fetch(`http://127.0.0.1:${backend.adminPort}/readyz`, {
          signal: AbortSignal.timeout(1_000),
        }).then(
          async (response) => (await response.arrayBuffer(), response.ok),
          () => false,
        )
        return { backend, ok }
      }),
    )
    ready = states.flatMap(({ backend, ok }) => (ok ? [backend] : []))
  }

  const server = createServer({ noDelay: true }, (client) => {
    next += 1
    const backend = ready[next % ready.length]
    if (backend === undefined) return client.destroy()
    openedAtMs.push(clock())
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
  await check()
  const timer = setInterval(() => void check(), checkEveryMs)
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: server.address().port,
    openedAtMs,
    close: () => {
      clearInterval(timer)
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}
