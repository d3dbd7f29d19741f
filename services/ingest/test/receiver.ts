import { createServer } from 'node:http'
import type { IncomingHttpHeaders, Server, ServerResponse } from 'node:http'
import { verifiedSignature } from '../src/signature.ts'

export const webhookSecret = 'a-webhook-secret-of-32-characters'

interface Received {
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly ids: readonly string[]
  readonly rooms: readonly string[]
  /** Whether one of its signatures is by `webhookSecret`. */
  readonly isSigned: boolean
}
interface Body {
  readonly events: readonly { readonly id: string; readonly data: { readonly room: string } }[]
}
type Answer = (res: ServerResponse, count: number) => void

export const ok: Answer = (res) => void res.writeHead(204).end()
export const status =
  (code: number, headers: Readonly<Record<string, string>> = {}): Answer =>
  (res) =>
    void res.writeHead(code, headers).end('{}')
/** Takes the request and says nothing. */
export const hang: Answer = () => undefined

/** A real receiver of webhooks on a port of its own; it can be killed, and started again on the same port. */
export async function startReceiver() {
  const received: Received[] = []
  let answer = ok
  let server: Server | undefined
  let port = 0

  async function start(): Promise<void> {
    const started = createServer((req, res) => {
      const chunks: Buffer[] = []
      req.on('data', (chunk: Buffer) => chunks.push(chunk))
      req.on('end', () => {
        const raw = Buffer.concat(chunks)
        const { events } = JSON.parse(raw.toString('utf8')) as Body
        const given = { header: req.headers['flotilla-signature'], body: raw, nowMs: Date.now() }
        received.push({
          headers: req.headers,
          body: raw.toString('utf8'),
          ids: events.map(({ id }) => id),
          rooms: events.map(({ data }) => data.room),
          isSigned: verifiedSignature(webhookSecret, given) !== undefined,
        })
        answer(res, received.length)
      })
    })
    await new Promise<void>((resolve) => started.listen(port, '127.0.0.1', resolve))
    const address = started.address()
    port = typeof address === 'object' && address !== null ? address.port : 0
    server = started
  }
  /** Every connection is cut. */
  async function kill(): Promise<void> {
    const ended = server
    server = undefined
    if (ended === undefined) return
    const closed = new Promise((resolve) => ended.close(resolve))
    ended.closeAllConnections()
    await closed
  }
  await start()
  return {
    url: `http://127.0.0.1:${port}/events?token=hidden`,
    received,
    answers: (next: Answer): void => void (answer = next),
    start,
    kill,
    /** Rooms of all events that came, in their order. */
    rooms: (): readonly string[] => received.flatMap((each) => each.rooms),
    /** Rooms of events, each the first time that it came. */
    first: (): readonly string[] => {
      const seen = new Set<string>()
      return received.flatMap(({ ids, rooms }) =>
        rooms.filter((_, i) => !seen.has(ids[i] ?? '') && seen.add(ids[i] ?? '')),
      )
    },
  }
}
export type Receiver = Awaited<ReturnType<typeof startReceiver>>
