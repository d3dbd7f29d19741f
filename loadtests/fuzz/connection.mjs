// One connection: its handshake, its inputs in one burst, and what came back until its end.
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import { createWalk, encode, opcodes, textFrame } from './wire.mjs'

/** An edge that has not answered within this time hangs, ms. */
export const hangMs = 10_000
/** Time that an edge has to answer what may be half a frame before the client gives up, ms. */
const lingerMs = 50
const endId = 'the-end'

/** The request of a good handshake. `headers`: further lines. */
export function handshake({ path = '/ws', headers = [] }) {
  const usual = ['Host: localhost', 'Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13']
  const key = `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`
  return Buffer.from(`GET ${path} HTTP/1.1\r\n${[...usual, key, ...headers].join('\r\n')}\r\n\r\n`)
}

/**
 * Sends `request`, and after a good answer `inputs` (each `{ bytes, isFatal }`), cut anywhere, and a ping that has to be answered.
 * Resolves with `{ status, texts, code, ended }`; `ended`: `answered`, `closed`, `refused` (no upgrade) or `hangs`.
 */
export function converse(random, { port, request, inputs }) {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const heard = { status: undefined, texts: [], code: undefined, fault: undefined }
    let head = Buffer.alloc(0)
    let isOver = false
    const timer = setTimeout(() => over('hangs'), hangMs)
    function over(ended) {
      if (isOver) return
      isOver = true
      clearTimeout(timer)
      // Half of the clients leave without a word.
      if (ended === 'answered' && random.chance(0.5))
        socket.end(encode(random, { opcode: opcodes.close, payload: Buffer.from([3, 232]) }))
      else socket.destroy()
      setTimeout(() => socket.destroy(), 100).unref()
      resolve({ ...heard, ended })
    }
    const walk = createWalk((opcode, payload) => {
      if (opcode === opcodes.close) heard.code = payload.length < 2 ? 1005 : payload.readUInt16BE(0)
      if (opcode !== opcodes.text) return
      const text = payload.toString('utf8')
      heard.texts.push(text)
      if (text.startsWith('{"type":"pong"') && text.includes(`"id":"${endId}"`)) over('answered')
    })
    const take = (data) => {
      heard.fault ??= walk(data)
      if (heard.fault !== undefined) over('closed')
    }
    const onHead = (data) => {
      head = Buffer.concat([head, data])
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      heard.status = Number(head.toString('latin1', 9, 12))
      if (heard.status !== 101) return over('refused')
      socket.off('data', onHead).on('data', take)
      write(random, socket, inputs)
      if (head.length > end + 4) take(head.subarray(end + 4))
    }
    socket.on('data', onHead)
    socket.on('error', () => {})
    socket.on('end', () => socket.end())
    socket.on('close', () => over('closed'))
    socket.once('connect', () => {
      socket.write(request)
      // What never becomes a request is given up by whoever sent it.
      if (inputs.length === 0) socket.end()
    })
  })
}

/** In one piece, or cut where no frame ends. After what may be half a frame the client has no more to say. */
function write(random, socket, inputs) {
  const end = textFrame(random, JSON.stringify({ type: 'ping', id: endId }))
  const all = Buffer.concat([...inputs.map(({ bytes }) => bytes), end])
  const isLast = inputs.at(-1)?.isFatal === true
  const at = random.chance(0.5) ? random.int(0, all.length) : all.length
  socket.write(all.subarray(0, at))
  setImmediate(() => {
    if (at < all.length && socket.writable) socket.write(all.subarray(at))
    if (isLast) setTimeout(() => socket.end(), lingerMs).unref()
  })
}
