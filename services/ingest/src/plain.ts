import type { IncomingHttpHeaders, IncomingMessage, RequestListener } from 'node:http'
import { failRequest } from '@flotilla/node/http'
import type { Log } from '@flotilla/node/log'
import { keyOf } from './keys.ts'
import type { IngestKeys } from './keys.ts'
import { observeRequests } from './metrics.ts'
import type { IngestMetrics } from './metrics.ts'
import type { Posts } from './posts.ts'
import { maxBodyBytes, routes } from './routes.ts'

export interface PlainOptions {
  readonly posts: Posts
  readonly keys: IngestKeys
  readonly metrics: IngestMetrics
  readonly log: Log
  /** Takes every other request. */
  readonly otherwise: RequestListener
}

/**
 * Both posts as nearly everybody sends them, read without the framework, which costs more than all else that we do for
 * them (ADR 8): a known key, a length within the limit, no encoding. What is not so is refused, or taken, by the framework.
 */
export function plainPosts({ posts, keys, metrics, log, otherwise }: PlainOptions): RequestListener {
  const plain = new Map(
    (['postEvent', 'postBatch'] as const).map((name) => {
      return [routes[name].path as string, { answer: posts[name], observe: observeRequests(metrics, name) }]
    }),
  )
  return (req, res) => {
    const route = req.method === 'POST' ? plain.get(req.url ?? '') : undefined
    const bytes = route === undefined ? 0 : plainBytes(req.headers)
    const key = bytes === 0 ? undefined : keyOf(keys, req)
    if (route === undefined || key === undefined) return otherwise(req, res)
    route.observe(res)
    collect(req, bytes, (body) => {
      try {
        route.answer({ req, res, body, key })
      } catch (error) {
        failRequest(log, error, { req, res })
      }
    })
  }
}

/** Length of a body that is there, within the limit and not encoded; else 0. */
function plainBytes(headers: IncomingHttpHeaders): number {
  if (headers['content-encoding'] !== undefined || headers['transfer-encoding'] !== undefined) return 0
  const bytes = Number(headers['content-length'] ?? 0)
  return bytes <= maxBodyBytes ? bytes : 0
}

/** The server gives exactly as many bytes as the header says, or breaks off. Most bodies are in one piece. */
function collect(req: IncomingMessage, bytes: number, whole: (body: Buffer) => void): void {
  let chunks: Buffer[] = []
  let missing = bytes
  req.on('data', (chunk: Buffer) => {
    missing -= chunk.length
    if (missing > 0) return void chunks.push(chunk)
    whole(chunks.length === 0 ? chunk : Buffer.concat([...chunks, chunk], bytes))
    chunks = []
  })
}
