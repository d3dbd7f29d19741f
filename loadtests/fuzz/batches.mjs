// Connections and what is sent over each: one batch, which can be sent again as it is.
import { signToken } from '@flotilla/node/jwt'
import { secret } from './fleet.mjs'
import { permissions, tenant, users } from './frames.mjs'
import { handshake } from './connection.mjs'
import { mutateBytes, mutateText } from './mutate.mjs'
import { fatal, harmless, textFrame } from './wire.mjs'

/** Inputs of one connection, and of those the bad ones: the edge closes after 100. */
const maxInputs = 250
const maxBad = 95
const daySeconds = 86_400

const tokens = new Map(
  users.map((user) => [user, signToken({ secret, sub: user, tenant, permissions, ttlSeconds: daySeconds })]),
)

/** The request that brings a token in one of the ways that there are. */
function requestWith(random, token) {
  return random.pick([
    () => handshake({ path: `/ws?token=${encodeURIComponent(token)}` }),
    () =>
      handshake({
        headers: [`Sec-WebSocket-Protocol: flotilla.v1, flotilla.token.${Buffer.from(token).toString('base64url')}`],
      }),
  ])()
}

/** The inputs of one connection, made by `frames`, most of them texts. `authAt`: which of them is a good `auth`. */
function inputsOf(random, { frames, userId, authAt }) {
  const inputs = []
  let bad = 0
  // Some connections are sent more than they may get wrong.
  const limit = random.chance(0.05) ? maxInputs : maxBad
  const count = random.int(1, maxInputs)
  while (inputs.length < count && bad < limit) {
    if (inputs.length === authAt)
      inputs.push(input(random, 'auth', JSON.stringify({ type: 'auth', token: tokens.get(userId) })))
    const { kind, text, bad: isBad, published } = frames.next(userId)
    if (isBad) bad += 1
    const [name, encode] = random.chance(0.03) ? random.pick(harmless) : ['', undefined]
    const bytes = encode === undefined ? textFrame(random, text) : encode(random, text)
    inputs.push({ kind: name === '' ? kind : `as ${name}`, bytes, text, published })
  }
  if (random.chance(0.4)) inputs.push(fatalInput(random, unpublished(frames, userId)))
  return inputs
}

/** A text that is nothing to be heard by others, also with a bit changed. */
function unpublished(frames, userId) {
  for (;;) {
    const { text, bad } = frames.next(userId)
    if (bad && !text.includes('publish')) return text
  }
}

const input = (random, kind, text) => ({ kind, bytes: textFrame(random, text), text })

function fatalInput(random, text) {
  const [kind, encode] = random.weighted([
    [10, random.pick(fatal)],
    [1, ['flipped bits', (_, each) => mutateBytes(random, textFrame(random, each))]],
    [0.02, ['more than 1 MiB', () => textFrame(random, JSON.stringify({ type: 'ping', id: 'x'.repeat(1_100_000) }))]],
  ])
  return { kind, bytes: encode(random, text), text: undefined, isFatal: true }
}

/** `next()`: `{ kind, userId, mayConnect, request, inputs }`. `userId`: who it is once it is authenticated. */
export function createBatches(random, frames) {
  const withToken = (userId) => ({
    ...{ kind: 'token in the handshake', userId, mayConnect: true, request: requestWith(random, tokens.get(userId)) },
    inputs: inputsOf(random, { frames, userId, authAt: -1 }),
  })
  const withFrame = (userId) => ({
    ...{ kind: 'token in a frame', userId, mayConnect: true, request: handshake({}) },
    inputs: inputsOf(random, { frames, userId, authAt: random.int(0, 20) }),
  })
  const without = () => ({
    ...{ kind: 'no token', userId: undefined, mayConnect: false, request: handshake({}) },
    inputs: inputsOf(random, { frames, userId: 'nobody', authAt: -1 }),
  })
  const withMutated = (userId) => {
    const token = tokens.get(userId)
    const mutated = Buffer.from(mutateText(random, token, tokens.get(random.pick(users)))).toString()
    // Of two mutations one may have undone the other, or put another one's token together.
    if ([...tokens.values()].includes(mutated)) return withToken(userId)
    return {
      kind: 'mutated token',
      userId: undefined,
      mayConnect: false,
      request: requestWith(random, mutated),
      inputs: [],
    }
  }
  const withMutatedRequest = (userId) => {
    const request = mutateBytes(random, requestWith(random, tokens.get(userId)))
    return { kind: 'mutated handshake', userId, mayConnect: true, request, inputs: [] }
  }
  return {
    next: () => {
      const make = random.weighted([
        [70, withToken],
        [15, withFrame],
        [5, without],
        [30, withMutated],
        [20, withMutatedRequest],
      ])
      return make(random.pick(users))
    },
  }
}
