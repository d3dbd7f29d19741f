// Which processes of a tier say that they are ready, as balancers see it.
import { createServer } from 'node:http'

const checkEveryMs = 250

/** `backends()`: `{ port, adminPort }` of each process. `all`: those of them that are ready. */
export async function watchReady(backends) {
  let all = []
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
    all = states.flatMap(({ backend, ok }) => (ok ? [backend] : []))
  }
  await check()
  const timer = setInterval(() => void check(), checkEveryMs)
  return {
    get all() {
      return all
    },
    close: () => clearInterval(timer),
  }
}

/** Tells the ports of those that are ready to whoever asks, as a name server would. */
export async function startDirectory(backends) {
  const ready = await watchReady(backends)
  const server = createServer((_, response) => response.end(JSON.stringify(ready.all.map(({ port }) => port))))
  await new Promise((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address()
  return {
    url: `http://127.0.0.1:${port}/`,
    close: () => {
      ready.close()
      server.closeAllConnections()
      server.close()
    },
  }
}
