import { after } from './backoff.ts'
import type { Settings } from './options.ts'
import { fieldsOf } from './wire.ts'
import type { Wire } from './wire.ts'

/** A token is renewed at a random moment of this part of what is left of its life. */
const [earliest, latest] = [0.7, 0.9]
/** After a token that was refused, or none, it is tried again, ms; not more often than that either. */
const againAfterMs = 2_000
/** By a clock that is ahead every token is over: how long one counts as good that does not say when it was issued, ms. */
const wrongClockMs = 60_000
/** Longest time of a timer, ms. */
const longestMs = 2_147_483_647

/** Gives the server a newer token before the one of the connection expires, so that it is not closed. */
export class Renewal {
  /** With a token function that says what it gave. */
  readonly settings: Settings
  readonly #source: (() => string | Promise<string>) | undefined
  readonly #wire: () => Wire
  #token = ''
  #stop: () => void = () => {}

  constructor(settings: Settings, wire: () => Wire) {
    const { token: source } = settings
    this.#wire = wire
    this.#source = typeof source === 'function' ? source : undefined
    this.settings = typeof source === 'function' ? { ...settings, token: () => this.#next(source) } : settings
  }

  /** A connection is there. */
  up(): void {
    const lifeMs = lifeOf(this.#token)
    this.#stop()
    if (this.#source === undefined || lifeMs === undefined) return
    const part = earliest + (latest - earliest) * this.settings.random()
    this.#later(lifeMs * part)
  }

  lost(): void {
    this.#stop()
  }

  async #next(source: () => string | Promise<string>): Promise<string> {
    this.#token = await source()
    return this.#token
  }

  #later(ms: number): void {
    this.#stop = after(Math.min(Math.max(ms, againAfterMs), longestMs), () => void this.#renew())
  }

  async #renew(): Promise<void> {
    const source = this.#source
    if (source === undefined) return
    let stopped = false
    this.#stop = () => (stopped = true)
    try {
      const token = await source()
      if (stopped || !this.#wire().up) return
      this.#wire().request('auth', fieldsOf({ token }), (reply) => {
        if (reply.type === 'ok') {
          this.#token = token
          this.up()
        } else this.#again('the server refused the new token', reply)
      })
    } catch (error) {
      if (!stopped) this.#again('the token function failed', error)
    }
  }

  #again(what: string, why: unknown): void {
    this.settings.log(what, why)
    this.#later(againAfterMs)
  }
}

/** How long a JWT that was just taken goes on, ms, whatever this clock says; undefined when it does not say, or is none. */
function lifeOf(token: string): number | undefined {
  try {
    const payload = token.split('.')[1] ?? ''
    const claims: unknown = JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')))
    const { exp, iat } = claims as { readonly exp?: unknown; readonly iat?: unknown }
    if (typeof exp !== 'number') return undefined
    const leftMs = exp * 1_000 - Date.now()
    const wholeMs = typeof iat === 'number' && iat < exp ? (exp - iat) * 1_000 : undefined
    // Without anything left it is over, and yet it was taken.
    return leftMs > 0 ? Math.min(leftMs, wholeMs ?? leftMs) : (wholeMs ?? wrongClockMs)
  } catch {
    return undefined
  }
}
