// The least of WebSocket that a load client needs, over raw sockets: frames are walked through by their headers, and the
// payload is looked at only where somebody asked for it. That keeps the load cheaper than what it measures.
import { randomBytes } from 'node:crypto'
import { connect } from 'node:net'

const opText = 0x1
const opPing = 0x9
const opClose = 0x8
/** Of a payload so many bytes tell what it is: `{"type":"ev`. */
const tellingBytes = 11
// One buffer for all sockets: each read is looked through before the next.
const shared = Buffer.allocUnsafe(262_144)

/** A client's text frame. The mask is zero, which leaves the payload as it is. */
export function textFrame(text) {
  return clientFrame(opText, Buffer.from(text))
}
function clientFrame(opcode, payload) {
  const header =
    payload.length < 126
      ? [0x80 | opcode, 0x80 | payload.length]
      : [0x80 | opcode, 0xfe, payload.length >> 8, payload.length & 0xff]
  return Buffer.concat([Buffer.from([...header, 0, 0, 0, 0]), payload])
}
const pong = clientFrame(0xa, Buffer.alloc(0))

/**
 * Takes a stream of frames apart, wherever reads cut it. `sink.kind(letters)` is told what a text frame is by two letters of
 * its type, `sink.text(text)` gets the whole text when `sink.attentive`, `sink.ping()` and `sink.close()` the rest.
 */
class FrameWalk {
  #sink
  #skip = 0
  #rest = null

  constructor(sink) {
    this.#sink = sink
  }

  take(read) {
    const data = this.#rest === null ? read : Buffer.concat([this.#rest, read])
    this.#rest = null
    let at = Math.min(this.#skip, data.length)
    this.#skip -= at
    while (at < data.length) {
      const header = headerSize(data, at)
      const length = header === 0 ? 0 : payloadLength(data, at)
      const needed = header + (this.#sink.attentive ? length : Math.min(length, tellingBytes))
      if (header === 0 || data.length - at < needed) {
        this.#rest = Buffer.from(data.subarray(at))
        return
      }
      const end = at + header + length
      this.#see(data, at, end)
      at = Math.min(end, data.length)
      this.#skip = end - at
    }
  }

  #see(data, at, end) {
    const opcode = data[at] & 0x0f
    const from = at + headerSize(data, at)
    if (opcode === opText) {
      this.#sink.kind((data[from + 9] << 8) | data[from + 10])
      if (this.#sink.attentive) this.#sink.text(data.toString('utf8', from, end))
    } else if (opcode === opPing) this.#sink.ping()
    else if (opcode === opClose) this.#sink.close(data.toString('utf8', from + 2, Math.min(end, data.length)))
  }
}

/** The two letters by which a frame's type is told apart. */
export const kinds = { event: letters('ev'), ok: letters('ok'), error: letters('er') }
function letters(pair) {
  return (pair.charCodeAt(0) << 8) | pair.charCodeAt(1)
}

function headerSize(data, at) {
  if (data.length - at < 2) return 0
  const short = data[at + 1] & 0x7f
  const size = short < 126 ? 2 : short === 126 ? 4 : 10
  return data.length - at < size ? 0 : size
}
function payloadLength(data, at) {
  const short = data[at + 1] & 0x7f
  if (short < 126) return short
  return short === 126 ? data.readUInt16BE(at + 2) : Number(data.readBigUInt64BE(at + 2))
}

/**
 * Connects, upgrades (`returns`: as a client that was connected before), and sends `first` as soon as it may. Resolves with the socket when the upgrade was accepted.
 * `sink` also has `closed()`.
 */
export function openWebSocket({ port, token, localAddress, first, returns = false }, sink) {
  return new Promise((resolve, reject) => {
    let head = ''
    let walk
    const onRead = (size) => {
      const data = shared.subarray(0, size)
      if (walk !== undefined) return walk.take(data)
      head += data.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      if (!head.startsWith('HTTP/1.1 101')) {
        socket.destroy()
        return reject(new Error(head.slice(0, 200)))
      }
      walk = new FrameWalk(sinkMethods(sink, socket))
      socket.write(first)
      const rest = Buffer.from(head.slice(end + 4), 'latin1')
      head = ''
      if (rest.length > 0) walk.take(rest)
      resolve(socket)
    }
    const onread = { buffer: shared, callback: onRead }
    const socket = connect({ port, host: '127.0.0.1', localAddress, noDelay: true, onread })
    socket.once('connect', () => socket.write(upgradeRequest(token, returns)))
    socket.on('error', reject)
    socket.once('close', () => {
      reject(new Error('closed before the upgrade'))
      sink.closed()
    })
  })
}

function sinkMethods(sink, socket) {
  return {
    attentive: sink.attentive,
    kind: (pair) => sink.kind(pair),
    text: (text) => sink.text(text),
    ping: () => socket.write(pong),
    close: (reason) => {
      sink.ended(reason)
      socket.destroy()
    },
  }
}

const upgradeRequest = (token, returns) =>
  `GET /ws?token=${token} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
  `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\nSec-WebSocket-Version: 13\r\n` +
  `${returns ? 'Sec-WebSocket-Protocol: flotilla.v1, flotilla.resume\r\n' : ''}\r\n`
