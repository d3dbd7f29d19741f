import { WebSocket } from 'ws'
import type { LossReason, ServerFrame } from '@flotilla/core/frames'
import type { Recorder } from '../recorder.ts'
import { tokenOf } from './library-client.ts'
import type { Dial } from './library-client.ts'
import { presenceRooms } from './rooms.ts'

/** First and longest wait before connecting again, ms; without jitter beyond `random`. */
const reconnectMs = 100
const reconnectMaxMs = 1_000
const pingEveryMs = 1_000
const silenceMs = 4_000
const answerMs = 8_000
/** A room that was refused for now is asked for again after so long, ms. */
const askAgainMs = 200

interface Place {
  epoch: string
  seq: number
}
interface Answer {
  readonly room: string
  readonly position?: Place | undefined
  readonly recovered?: boolean | undefined
  readonly missed?: number | undefined
  readonly reason?: LossReason | undefined
}

/** Times of `performance.now()`. */
interface Cut {
  readonly connectionId: string
  readonly askedAtMs: number
  readonly endedAtMs: number
}

/**
 * A client of docs/protocol.md without a library: it resumes by its positions and notes every frame as it comes, so that
 * what the library would drop (a repeat, a step back) is seen.
 */
export class RawClient {
  readonly name: string
  /** Connections that others ended between `resume` and its answer. */
  readonly cuts: Cut[] = []
  readonly #dial: Dial
  readonly #recorder: Recorder
  readonly #places = new Map<string, Place>()
  #socket: WebSocket | undefined
  /** The id of the last connection: the next one takes its place. */
  #ticket = ''
  /** Rooms of this connection that are not answered yet. */
  #waiting = new Set<string>()
  /** Some of them were: it delivers. */
  #up = false
  #asked = false
  #askedAtMs = 0
  /** It ended the connection itself. */
  #gaveUp = false
  #closed = false
  #attempt = 0
  #heardAt = 0
  #resumeSent: ((connectionId: string) => void)[] = []
  #pings: NodeJS.Timeout | undefined
  #retry: NodeJS.Timeout | undefined

  constructor(dial: Dial) {
    this.name = dial.name
    this.#dial = dial
    this.#recorder = dial.recorder
    this.#open()
  }

  get connectionId(): string {
    return this.#ticket
  }

  get connected(): boolean {
    return this.#up && this.#waiting.size === 0
  }

  /** Resolves when its next `resume` has just been sent, with the connection that it was sent on. */
  nextResume(): Promise<string> {
    return new Promise((resolve) => this.#resumeSent.push(resolve))
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#retry)
    clearInterval(this.#pings)
    this.#socket?.terminate()
  }

  #open(): void {
    const returns = this.#ticket === '' ? [] : ['flotilla.resume', `flotilla.ticket.${this.#ticket}`]
    const headers = { authorization: `Bearer ${tokenOf(this.name)}` }
    const socket = new WebSocket(this.#dial.url, ['flotilla.v1', ...returns], { headers })
    this.#socket = socket
    this.#up = this.#asked = this.#gaveUp = false
    this.#waiting = new Set(this.#dial.rooms)
    this.#heardAt = performance.now()
    clearInterval(this.#pings)
    this.#pings = setInterval(() => this.#keepAlive(socket), pingEveryMs)
    socket.on('message', (data) => {
      this.#heardAt = performance.now()
      // A frame of a socket that was given up is not this connection's.
      if (socket === this.#socket) this.#receive(JSON.parse((data as Buffer).toString()) as ServerFrame)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      if (socket === this.#socket) this.#lost()
    })
  }

  #keepAlive(socket: WebSocket): void {
    const silent = performance.now() - this.#heardAt
    if (silent > (this.#asked && !this.#up ? answerMs : silenceMs)) {
      this.#gaveUp = true
      return socket.terminate()
    }
    if (socket.readyState === WebSocket.OPEN) socket.send('{"type":"ping"}')
  }

  #lost(): void {
    clearInterval(this.#pings)
    if (this.#closed) return
    const cut = { connectionId: this.#ticket, askedAtMs: this.#askedAtMs, endedAtMs: performance.now() }
    if (this.#asked && !this.#up && !this.#gaveUp) this.cuts.push(cut)
    if (this.#up) this.#recorder.note({ type: 'disconnect', client: this.name })
    this.#up = this.#asked = false
    this.#attempt += 1
    const waitMs = Math.min(reconnectMaxMs, reconnectMs * 2 ** Math.min(this.#attempt, 5))
    this.#retry = setTimeout(() => this.#open(), waitMs * (0.5 + Math.random() / 2))
  }

  #receive(frame: ServerFrame): void {
    switch (frame.type) {
      case 'connected': {
        this.#ticket = frame.connectionId
        this.#asked = true
        this.#askedAtMs = performance.now()
        this.#ask(this.#dial.rooms)
        for (const tell of this.#resumeSent.splice(0)) tell(this.#ticket)
        return
      }
      case 'ok':
        if (frame.rooms !== undefined) this.#answered(frame.rooms)
        return
      case 'position':
        // Until the room is answered, its answer says more than these.
        if (!this.#waiting.has(frame.room) && this.#places.has(frame.room))
          this.#move(frame.room, frame.position, frame)
        return
      case 'event': {
        const place = this.#places.get(frame.room)
        if (this.#waiting.has(frame.room) || place === undefined || frame.seq === undefined) return
        const { id } = frame.data as { id: string }
        const { room, seq } = frame
        this.#recorder.note({ type: 'deliver', client: this.name, room, epoch: place.epoch, seq, id })
        place.seq = seq
        return
      }
      case 'error':
        // Its only frames are resumes: this one was refused as a whole.
        return this.#askAgain([...this.#waiting])
      case 'unsubscribed':
        // No policy of the campaign changes.
        throw new Error(`${this.name} was taken out of ${frame.room}`)
      case 'history':
      case 'result':
      case 'pong':
      case 'drain':
        return
      case 'presence':
        this.#dial.seen.take(this.name, frame)
    }
  }

  #ask(names: readonly string[]): void {
    const rooms = names.map((room) => ({ room, since: this.#places.get(room), presence: presenceRooms.has(room) }))
    this.#socket?.send(JSON.stringify({ type: 'resume', id: 1, rooms }))
  }

  #answered(answers: readonly (Answer & { readonly error?: unknown })[]): void {
    if (!this.#up) this.#recorder.note({ type: 'connect', client: this.name })
    this.#up = true
    this.#attempt = 0
    const refused: string[] = []
    for (const answer of answers) {
      const { room, position, recovered = true, missed = 0, reason } = answer
      if (position === undefined || answer.error !== undefined) refused.push(room)
      else {
        this.#waiting.delete(room)
        const first = !this.#places.has(room)
        const at = { epoch: position.epoch, seq: position.seq - missed }
        this.#move(room, at, { recovered: recovered || first, reason })
      }
    }
    this.#askAgain(refused)
  }

  /** They cannot be read now, or their replays did not fit beside those of the others. */
  #askAgain(rooms: readonly string[]): void {
    const socket = this.#socket
    if (rooms.length === 0) return
    setTimeout(() => {
      if (socket === this.#socket && socket?.readyState === WebSocket.OPEN) this.#ask(rooms)
    }, askAgainMs).unref()
  }

  #move(room: string, { epoch, seq }: Place, said: { recovered: boolean; reason?: LossReason | undefined }): void {
    const { recovered, reason } = said
    this.#places.set(room, { epoch, seq })
    this.#recorder.note({ type: 'position', client: this.name, room, epoch, seq, recovered, reason })
  }
}
