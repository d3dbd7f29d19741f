// Sends batches and requests, and says what was wrong with what came back.
import { maxBodyBytes } from '@flotilla/ingest/routes'
import { answerFault, createAsker } from './answers.mjs'
import { converse } from './connection.mjs'
import { closeFault, faultOf } from './judge.mjs'

/** Of a handshake that is none: the edge's own refusals, its pages, and those of Node's HTTP server. */
const handshakeStatuses = new Set([101, 200, 400, 401, 403, 404, 408, 429, 431, 503])

/** How often something came, by name. */
export function createTally() {
  const counts = new Map()
  return {
    add: (name, by = 1) => void counts.set(name, (counts.get(name) ?? 0) + by),
    rows: () => [...counts].toSorted(([a], [b]) => (a < b ? -1 : 1)),
  }
}

/** Sends a batch over a connection of its own. Resolves with what is wrong, undefined when nothing is. */
export async function tryBatch(random, batch, { port, back }) {
  const { request, inputs } = batch
  const { status, texts, code, fault, ended } = await converse(random, { port, request, inputs })
  if (ended === 'hangs') return 'the edge does not answer'
  if (code !== undefined) back.add(`close ${code}`)
  else if (ended === 'closed' && status === 101) back.add('closed without a word')
  const wrong = fault ?? handshakeFault(batch, status, back) ?? textsFault(batch, texts, back)
  return wrong ?? (code === undefined ? undefined : closeFault(code, echoOf(batch)))
}

function handshakeFault({ kind }, status, back) {
  if (status === undefined) return kind === 'mutated handshake' ? undefined : 'the handshake was not answered'
  back.add(`handshake ${status}`)
  return handshakeStatuses.has(status) ? undefined : `the handshake was answered ${status}`
}

function textsFault({ kind, userId, mayConnect }, texts, back) {
  for (const text of texts) {
    const wrong = faultOf(text, { userId, seen: (name) => back.add(name) })
    if (wrong !== undefined) return wrong
    if (!mayConnect && text.startsWith('{"type":"connected"')) return `connected by a ${kind}: ${text}`
  }
  return undefined
}

/** What the client may have closed with itself: the server repeats it. */
function echoOf({ inputs }) {
  const last = inputs.at(-1)
  if (last?.kind !== 'close with a code') return undefined
  const [mask, hidden] = [last.bytes.subarray(2, 6), last.bytes.subarray(6, 8)]
  return ((hidden[0] ^ mask[0]) << 8) | (hidden[1] ^ mask[1])
}

/** Sends requests over a connection that is made anew when it has to be. */
export function createPoster({ port, back }) {
  const asker = createAsker(port)
  return {
    close: asker.close,
    post: async ({ bytes, isWhole }) => {
      const { answers, rest, ended } = await asker.ask(bytes, isWhole)
      if (ended === 'hangs') return 'ingest does not answer'
      for (const answer of answers) {
        back.add(`HTTP ${answer.status}`)
        const wrong = answerFault(answer)
        if (wrong !== undefined) return wrong
      }
      if (rest.length > 0) return `half an answer: ${rest.toString('latin1').slice(0, 200)}`
      // Who is still sending when the server closes may not read its answer.
      const isLarge = bytes.length > maxBodyBytes
      if (isWhole && answers.length === 0 && !isLarge) return 'closed without an answer'
      if (answers.length === 0) back.add('HTTP closed without an answer')
      return undefined
    },
  }
}
