// A connection to ingest that requests are written to as bytes, and the answers as they come back.
import { connect } from 'node:net'
import { errorCodes } from '@flotilla/core/codes'
import { batchAnswer, eventAccepted, historyAnswer, problemAnswer } from '@flotilla/ingest/schema'
import { hangMs } from './connection.mjs'

const good = [eventAccepted, batchAnswer, historyAnswer]
/** Of a problem; 500 is none that a request may cause. */
const problemStatuses = new Set([400, 401, 404, 408, 409, 413, 415, 417, 422, 431, 503])

/** The answers at the beginning of `data`, each `{ status, type, body }`, and how many bytes they are. */
function answersIn(data) {
  const answers = []
  let at = 0
  for (;;) {
    const end = data.indexOf('\r\n\r\n', at)
    if (end < 0) return { answers, bytes: at }
    const head = data.toString('latin1', at, end)
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1])
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1] ?? 0)
    const from = end + 4
    if (data.length < from + length) return { answers, bytes: at }
    at = from + length
    // Only says that the body may come.
    if (status === 100) continue
    const type = /\r\ncontent-type: ([^\r]*)/i.exec(head)?.[1]
    answers.push({ status, type, body: data.toString('utf8', from, at), closes: /\r\nconnection: close/i.test(head) })
  }
}

/** What is wrong with an answer; undefined when nothing is. */
export function answerFault({ status, type, body }) {
  const told = `${status} ${type}: ${body.slice(0, 200)}`
  let value
  try {
    value = JSON.parse(body)
  } catch {
    return `not JSON: ${told}`
  }
  if (status === 200 || status === 202) {
    const isKnown = type === 'application/json; charset=utf-8' && good.some((schema) => schema.safeParse(value).success)
    return isKnown ? undefined : `not an answer that is documented: ${told}`
  }
  if (!problemStatuses.has(status)) return `a status that is not documented: ${told}`
  const isProblem = type === 'application/problem+json; charset=utf-8' && problemAnswer.safeParse(value).success
  if (!isProblem || value.status !== status) return `not a problem document: ${told}`
  return Object.hasOwn(errorCodes, value.code) ? undefined : `not a known code: ${told}`
}

/** `ask(bytes, isWhole)` resolves with the answers, `ended`: `answered`, `closed` or `hangs`. One at a time. */
export function createAsker(port) {
  let socket
  const dial = () => {
    const dialled = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
    dialled.on('error', () => {})
    // Between two requests the server may close it.
    dialled.on('end', () => isIdle && dialled.destroy())
    socket = dialled
  }
  let isIdle = true
  const ask = (bytes, isWhole) =>
    new Promise((resolve) => {
      if (socket === undefined || socket.destroyed || !socket.writable) dial()
      isIdle = false
      const used = socket
      let data = Buffer.alloc(0)
      const over = (ended) => {
        clearTimeout(timer)
        isIdle = true
        used.off('data', take).off('close', close).off('end', close)
        const { answers, bytes: read } = answersIn(data)
        if (!isWhole || ended !== 'answered' || answers.some(({ closes }) => closes)) used.destroy()
        resolve({ answers, rest: data.subarray(read), ended })
      }
      const close = () => over('closed')
      const take = (more) => {
        data = Buffer.concat([data, more])
        if (isWhole && answersIn(data).answers.length > 0) over('answered')
      }
      const timer = setTimeout(() => over('hangs'), hangMs)
      used.on('data', take).on('close', close).on('end', close)
      used.write(bytes)
      // Whoever sends half a request and then nothing has to be given up: it does so itself.
      if (!isWhole) used.end()
    })
  /** What a kept connection does not answer is asked once more over a new one, as every client does. */
  const askAgain = async (bytes, isWhole) => {
    const isKept = socket !== undefined && !socket.destroyed
    const first = await ask(bytes, isWhole)
    if (!isKept || !isWhole || first.ended !== 'closed' || first.answers.length > 0) return first
    socket.destroy()
    return ask(bytes, isWhole)
  }
  return { ask: askAgain, close: () => socket?.destroy() }
}
