import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** The subprotocol of the native protocol; a token may come as a second one, and is never sent back. */
const subprotocol = 'flotilla.v1'
const tokenProtocol = 'flotilla.token.'
/** RFC 6455, section 1.3. */
const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const keyPattern = /^[+/0-9A-Za-z]{22}==$/

/** The answer that makes the socket a WebSocket; undefined when the request does not ask for one properly. */
export function acceptHandshake({ method, headers }: IncomingMessage): Buffer | undefined {
  const key = headers['sec-websocket-key']
  if (method !== 'GET' || headers.upgrade?.toLowerCase() !== 'websocket') return undefined
  if (key === undefined || !keyPattern.test(key) || headers['sec-websocket-version'] !== '13') return undefined
  const accept = createHash('sha1')
    .update(key + guid)
    .digest('base64')
  const protocol = offered(headers).includes(subprotocol) ? `Sec-WebSocket-Protocol: ${subprotocol}\r\n` : ''
  const head = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n'
  return Buffer.from(`${head}Sec-WebSocket-Accept: ${accept}\r\n${protocol}\r\n`, 'latin1')
}

function offered(headers: IncomingMessage['headers']): string[] {
  const text = headers['sec-websocket-protocol']
  return text === undefined ? [] : text.split(',').map((each) => each.trim())
}

/** Subprotocol, then header, then query: the one least likely to be written into somebody's log counts. */
export function tokenOf(request: IncomingMessage): string | undefined {
  const encoded = offered(request.headers).find((each) => each.startsWith(tokenProtocol))
  if (encoded !== undefined) return Buffer.from(encoded.slice(tokenProtocol.length), 'base64url').toString('utf8')
  const bearer = bearerOf(request)
  if (bearer !== undefined) return bearer
  const query = (request.url ?? '').split('?', 2)[1]
  return query === undefined ? undefined : (new URLSearchParams(query).get('token') ?? undefined)
}

export function bearerOf({ headers }: IncomingMessage): string | undefined {
  return /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1]
}
