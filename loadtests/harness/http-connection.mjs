// One keep-alive HTTP connection over a raw socket, one request at a time: fetch costs more than what it would measure.
import { connect } from 'node:net'

export class HttpConnection {
  #socket
  #head
  #received = []
  #bytes = 0
  #needed = Infinity
  #waiting = undefined

  constructor({ port, key }) {
    this.#head = `Host: localhost\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\n`
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true })
    this.#socket.on('data', (data) => this.#take(data))
    this.#socket.on('error', (error) => this.#fail(error))
    this.#socket.on('close', () => this.#fail(new Error('ingest closed the connection')))
  }

  /** Resolves with status and text of the answer. */
  post(path, body) {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      const length = Buffer.byteLength(body)
      this.#socket.write(`POST ${path} HTTP/1.1\r\n${this.#head}Content-Length: ${length}\r\n\r\n${body}`)
    })
  }

  close() {
    this.#waiting = undefined
    this.#socket.destroy()
  }

  #take(data) {
    this.#received.push(data)
    this.#bytes += data.length
    if (this.#needed === Infinity) {
      const text = Buffer.concat(this.#received)
      const end = text.indexOf('\r\n\r\n')
      if (end < 0) return
      const length = /content-length: (\d+)/i.exec(text.toString('latin1', 0, end))?.[1]
      if (length === undefined) return this.#fail(new Error('an answer without a length'))
      this.#needed = end + 4 + Number(length)
    }
    if (this.#bytes < this.#needed) return
    const answer = Buffer.concat(this.#received)
    const waiting = this.#waiting
    const from = this.#needed === Infinity ? 0 : answer.indexOf('\r\n\r\n') + 4
    this.#received = []
    this.#bytes = 0
    this.#needed = Infinity
    waiting?.resolve({ status: Number(answer.toString('latin1', 9, 12)), text: answer.toString('utf8', from) })
  }

  #fail(error) {
    this.#waiting?.reject(error)
    this.#waiting = undefined
  }
}
