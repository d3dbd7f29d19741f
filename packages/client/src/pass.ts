import type { Settings, TokenSource } from './options.ts'

/** The token of a room. */
export class Pass {
  /** Undefined: there is none yet. */
  token: string | undefined
  readonly #source: TokenSource
  readonly #settings: Settings
  /** No answer has been seen since it was fetched. */
  #fresh = true

  constructor(source: TokenSource, settings: Settings) {
    this.#source = source
    this.#settings = settings
    if (typeof source === 'string') this.token = source
  }

  /** It was taken; what is refused from now on is too old. */
  taken(): void {
    this.#fresh = false
  }

  /** Whether to ask again with another one: at once, or later, as the one that was refused is new. */
  outlived(code: string): 'now' | 'later' | undefined {
    const isOver = code === 'ROOM_TOKEN_EXPIRED'
    if (typeof this.#source !== 'function' || !(isOver || (code === 'FORBIDDEN' && !this.#fresh))) return undefined
    this.token = undefined
    return this.#fresh ? 'later' : 'now'
  }

  /** Fetches one; `done` is called once, unless it was stopped. It has none then if the function failed. */
  fetch(done: () => void): () => void {
    let stopped = false
    void (async () => {
      try {
        this.token = typeof this.#source === 'function' ? await this.#source() : this.#source
        this.#fresh = true
      } catch (error) {
        this.#settings.log('the token function failed', error)
      }
      if (!stopped) done()
    })()
    return () => {
      stopped = true
    }
  }
}
