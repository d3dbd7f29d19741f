import { errorCodes } from '@flotilla/core/codes'
import type { ServerFrame } from '@flotilla/core/frames'

export type OkFrame = Extract<ServerFrame, { type: 'ok' }>
export type ErrorFrame = Extract<ServerFrame, { type: 'error' }>
export type Refusal = Pick<ErrorFrame, 'code' | 'message' | 'retryAfterMs'>
/** What became of one room of a `subscribe` or a `resume`. */
export type RoomAnswer = Pick<OkFrame, 'position' | 'recovered' | 'missed' | 'reason'> & { error?: Refusal | undefined }
/** Whether the same may be asked again: by its code, or, of a code of a newer server, because it says when. */
export function isRetryable({ code, retryAfterMs }: Pick<Refusal, 'code' | 'retryAfterMs'>): boolean {
  const known = Object.entries(errorCodes).find(([name]) => name === code)?.[1]
  return known?.retry ?? retryAfterMs !== undefined
}

export const noAnswer: Refusal = { code: 'INTERNAL_ERROR', message: 'the server gave no answer for this room' }
export type Reply = (reply: OkFrame | ErrorFrame) => void
export type PageFrame = Extract<ServerFrame, { type: 'history' }>
/** What is answered with data. */
export type DataFrame = PageFrame | Extract<ServerFrame, { type: 'result' }>
export type DataReply = (reply: DataFrame | ErrorFrame) => void

/** How requests leave and answers come back; what is not answered when the connection goes is forgotten. */
export class Wire {
  readonly #send: (text: string) => void
  readonly #up: () => boolean
  readonly #waiting = new Map<number | string, Reply>()
  readonly #data = new Map<number | string, DataReply>()
  #lastId = 0

  constructor(up: () => boolean, send: (text: string) => void) {
    this.#up = up
    this.#send = send
  }

  get up(): boolean {
    return this.#up()
  }

  /** Sends `{"type":…,"id":…,<fields>}`; `fields` is JSON without its braces. Only while `up`. */
  request(type: string, fields: string, reply: Reply): void {
    const id = ++this.#lastId
    this.#waiting.set(id, reply)
    this.#send(`{"type":"${type}","id":${id},${fields}}`)
  }

  /** The same of what is answered with data. Only while `up`. */
  get(type: string, fields: string, reply: DataReply): void {
    const id = ++this.#lastId
    this.#data.set(id, reply)
    this.#send(`{"type":"${type}","id":${id},${fields}}`)
  }

  /** Sends what needs no answer. */
  tell(type: string, fields: string): void {
    this.#send(`{"type":"${type}","id":${++this.#lastId},${fields}}`)
  }

  /** False when nobody waits for it. */
  answer(frame: OkFrame | ErrorFrame | DataFrame): boolean {
    const { id } = frame
    if (id === undefined) return false
    if (frame.type !== 'ok') {
      const asked = this.#data.get(id)
      this.#data.delete(id)
      asked?.(frame)
      if (asked !== undefined || frame.type !== 'error') return asked !== undefined
    }
    const reply = this.#waiting.get(id)
    this.#waiting.delete(id)
    reply?.(frame)
    return reply !== undefined
  }

  forget(): void {
    this.#waiting.clear()
    this.#data.clear()
  }
}

/** JSON of an object without its braces. Undefined members are left out. */
export function fieldsOf(value: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(value).slice(1, -1)
}
