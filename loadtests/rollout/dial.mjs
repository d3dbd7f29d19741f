// Clients that choose an edge themselves, by a directory: a proxy in between would take as much of the machine as two edges.
import WebSocket from 'ws'
import { clock } from '../harness/samples.mjs'

const askEveryMs = 250

/** A WebSocket for the library that goes to the next port of the directory each time, and when each one began, ms since 1970. */
export async function dialBy(directory) {
  const openedAtMs = []
  let ports = []
  let next = 0
  async function ask() {
    const answer = await fetch(directory, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined)
    if (answer?.ok) ports = await answer.json()
  }
  await ask()
  setInterval(() => void ask(), askEveryMs).unref()
  class Dialled extends WebSocket {
    constructor(url, protocols) {
      const to = new URL(url)
      next += 1
      // Nothing listens on port 1: that none is ready is seen as a connection refused.
      to.port = String(ports[next % ports.length] ?? 1)
      openedAtMs.push(clock())
      super(to.href, protocols)
    }
  }
  return { WebSocket: Dialled, openedAtMs }
}
