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
export type PageReply = (reply: PageFrame | ErrorFrame) => void

/** How requests leave and answers come back; what is not answered when the connection goes is forgotten. */
export class Wire {
  readonly #send: (text: string) => void
  readonly #up: () => boolean
  readonly #waiting = new Map<number | string, Reply>()
  readonly #pages = new Map<number | string, PageReply>()
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

  /** Asks for a page of history. Only while `up`. */
  page(fields: string, reply: PageReply): void {
    const id = ++this.#lastId
    this.#pages.set(id, reply)
    this.#send(`{"type":"history","id":${id},${fields}}`)
  }

  /** Sends what needs no answer. */
  tell(type: string, fields: string): void {
    this.#send(`{"type":"${type}","id":${++this.#lastId},${fields}}`)
  }

  /** False when nobody waits for it. */
  answer(frame: OkFrame | ErrorFrame | PageFrame): boolean {
    const { id } = frame
    if (id === undefined) return false
    if (frame.type !== 'ok') {
      const page = this.#pages.get(id)
      this.#pages.delete(id)
      page?.(frame)
      if (page !== undefined || frame.type === 'history') return page !== undefined
    }
    const reply = this.#waiting.get(id)
    this.#waiting.delete(id)
    reply?.(frame)
    return reply !== undefined
  }

  forget(): void {
    this.#waiting.clear()
    this.#pages.clear()
  }
}

/** JSON of an object without its braces. Undefined members are left out. */
export function fieldsOf(value: Readonly<Record<string, unknown>>): string {
  return JSON.stringify(value).slice(1, -1)
}
