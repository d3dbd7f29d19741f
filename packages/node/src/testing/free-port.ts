import { createServer } from 'node:net'

/**
 * Below the range from which systems take the ports of outgoing connections: a server that is away for a moment must
 * find its port free again, and a client that dials it meanwhile must not be given that very port and meet itself.
 */
const lowest = 15_000
const highest = 31_999
const attempts = 100

/** A loopback port on which nobody listens now. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest + 1))
    if (await isFree(port)) return port
  }
  throw new Error(`no free port found in ${attempts} attempts`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
