import type { IncomingMessage } from 'node:http'

/** Where a token may be, as a setting names it. The least likely to be written into somebody's log comes first; the frame comes after the handshake. */
export const tokenPlaces = ['protocol', 'header', 'query', 'frame'] as const
export type TokenPlace = (typeof tokenPlaces)[number]

const tokenProtocol = 'flotilla.token.'
/** Offered by a client that has no token and wants none. */
const anonymousProtocol = 'flotilla.anonymous'

const finders: Readonly<Record<TokenPlace, (request: IncomingMessage) => string | undefined>> = {
  protocol: (request) => {
    const encoded = offeredBy(request).find((each) => each.startsWith(tokenProtocol))
    return encoded && Buffer.from(encoded.slice(tokenProtocol.length), 'base64url').toString('utf8')
  },
  header: ({ headers }) => /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1],
  query: ({ url = '' }) => {
    const query = url.split('?', 2)[1]
    return query === undefined ? undefined : (new URLSearchParams(query).get('token') ?? undefined)
  },
  frame: () => undefined,
}

const offeredBy = ({ headers }: IncomingMessage): readonly string[] =>
  (headers['sec-websocket-protocol'] ?? '').split(',').map((each) => each.trim())

/** The token of a request: the first place that has one counts. */
export function tokenOf(request: IncomingMessage, places: readonly TokenPlace[]): string | undefined {
  for (const place of places) {
    const token = finders[place](request)
    if (token !== undefined) return token
  }
  return undefined
}

/**
 * What a handshake says of who connects: a token; null: it wants to be anonymous; undefined: that comes in a frame. A token counts before
 * the wish to be anonymous, also one that is not good: nobody who shows one is taken for somebody else.
 */
export function shownBy(request: IncomingMessage, places: readonly TokenPlace[]): string | null | undefined {
  const token = tokenOf(request, places)
  if (token !== undefined) return token
  if (offeredBy(request).includes(anonymousProtocol)) return null
  // One that is empty is refused as any that is not good.
  return places.includes('frame') ? undefined : ''
}
