import { after, hintedMs } from './backoff.ts'
import { Emitter } from './emitter.ts'
import type { Off } from './emitter.ts'
import { FlotillaError, TimeoutError } from './errors.ts'
import type { Settings } from './options.ts'
import { fieldsOf, isRetryable } from './wire.ts'
import type { ErrorFrame, OkFrame, Wire } from './wire.ts'

export interface LockOptions {
  /** Which lock of the room; a room has one without a name too. */
  readonly name?: string
  /** How long it stays locked when nothing is heard of this client, ms: 1,000 to 300,000; 30,000 when it is left out. */
  readonly ttlMs?: number
  /** Rejects with `TimeoutError` when it is still somebody else's after this, ms; 0 does not wait. 0 when it is left out. */
  readonly waitMs?: number
}

/** A lock that this client has: renewed as long as it lives, over reconnects. */
export interface Lock {
  readonly room: string
  readonly name: string
  /** A whole number below 2⁶³, in digits. Grows whenever the lock changes hands: what it protects refuses writes with a lower number than it has seen. */
  readonly fence: string
  /** False from the moment at which somebody else may have it. */
  readonly held: boolean
  /** It is not held any more, without having been released. */
  onLost(listener: () => void): Off
  /** Resolves when others may have it. */
  release(): Promise<void>
}

interface Wanted {
  readonly room: string
  readonly name: string
  readonly holder: string
  readonly ttlMs: number
  readonly lost: Emitter<void>
  state: 'wanted' | 'held' | 'leaving' | 'over'
  asking: boolean
  fence: string
  /** By both clocks: one may stand still while the machine sleeps, the other may be set. */
  until: { readonly wall: number; readonly monotonic: number }
  settle: { resolve(lock: Lock): void; reject(error: FlotillaError): void } | undefined
  released: (() => void)[]
  /** Whether to ask again while it is somebody else's. */
  waits: boolean
  stopWaiting: () => void
  stopRenewal: () => void
  stopExpiry: () => void
}

const defaultTtlMs = 30_000
/** Renewals within its time: two may be lost. */
const renewals = 3
const askAgainMs = 1_000
const nothing = (): void => {}

/** Locks that this client wants, or has. */
export class Locks {
  readonly #settings: Settings
  readonly #wire: Wire
  readonly #all = new Set<Wanted>()

  constructor(settings: Settings, wire: Wire) {
    this.#settings = settings
    this.#wire = wire
  }

  lock(room: string, { name = '', ttlMs = defaultTtlMs, waitMs = 0 }: LockOptions): Promise<Lock> {
    return new Promise((resolve, reject) => {
      const holder = Array.from({ length: 4 }, () => Math.floor(this.#settings.random() * 2 ** 32).toString(36)).join(
        '-',
      )
      const wanted: Wanted = {
        ...{
          room,
          name,
          holder,
          ttlMs,
          state: 'wanted',
          asking: false,
          fence: '',
          until: { wall: 0, monotonic: 0 },
          waits: waitMs > 0,
        },
        ...{ lost: new Emitter<void>(this.#settings.log), settle: { resolve, reject }, released: [] },
        ...{ stopWaiting: nothing, stopRenewal: nothing, stopExpiry: nothing },
      }
      const patience = Math.max(waitMs, this.#settings.attemptTimeoutMs)
      wanted.stopWaiting = after(patience, () =>
        this.#refuse(wanted, new TimeoutError(`${room} was not locked within ${patience} ms`)),
      )
      this.#all.add(wanted)
      this.#ask(wanted)
    })
  }

  /** A connection is there. */
  flush(): void {
    for (const wanted of this.#all) this.#ask(wanted)
  }

  /** The connection is gone, and with it every request. */
  lost(): void {
    for (const wanted of this.#all) wanted.asking = false
  }

  /** The application ends the client: others need not wait until the time is over. */
  leave(): void {
    for (const wanted of this.#all) if (wanted.state === 'held' || wanted.asking) this.#free(wanted)
  }

  close(error: FlotillaError): void {
    for (const wanted of this.#all) {
      if (wanted.state === 'held') this.#lose(wanted)
      this.#refuse(wanted, error)
    }
  }

  /** The server may have given it, and nobody here wants it. Its word is not used again. */
  #free(wanted: Wanted): void {
    if (this.#wire.up) this.#wire.tell('unlock', fieldsOf(wordsOf(wanted)))
  }

  #ask(wanted: Wanted): void {
    const { ttlMs, state } = wanted
    if (!this.#wire.up || wanted.asking || state === 'over') return
    wanted.asking = true
    wanted.stopRenewal()
    const type = state === 'leaving' ? 'unlock' : 'lock'
    const fields = wordsOf(wanted)
    // From when it was asked for: the server counts from later.
    const until = { wall: Date.now() + ttlMs, monotonic: performance.now() + ttlMs }
    this.#wire.request(type, fieldsOf(type === 'lock' ? { ...fields, ttlMs } : fields), (reply) => {
      wanted.asking = false
      if (wanted.state === 'over') {
        if (type === 'lock' && reply.type === 'ok') this.#free(wanted)
      } else if (wanted.state === 'leaving') this.#left(wanted, type, reply)
      else if (reply.type === 'ok') this.#held(wanted, reply.lock?.fence ?? '', until)
      else this.#refused(wanted, reply)
    })
  }

  #held(wanted: Wanted, fence: string, until: Wanted['until']): void {
    // Another number: it was somebody else's in between.
    if (wanted.state === 'held' && fence !== wanted.fence) {
      this.#lose(wanted)
      return this.#free(wanted)
    }
    // Somebody else may have it by now.
    if (wanted.state === 'wanted' && leftOf(until) <= 0) return this.#ask(wanted)
    wanted.fence = fence
    wanted.until = until
    wanted.stopExpiry()
    wanted.stopExpiry = after(leftOf(until), () => this.#lose(wanted))
    wanted.stopRenewal = after(wanted.ttlMs / renewals, () => this.#ask(wanted))
    if (wanted.state === 'held') return
    wanted.state = 'held'
    wanted.stopWaiting()
    wanted.settle?.resolve(this.#handle(wanted))
    wanted.settle = undefined
  }

  #refused(wanted: Wanted, { code, message, retryAfterMs }: ErrorFrame): void {
    const isTaken = code === 'LOCKED'
    if (wanted.state === 'held' && (isTaken || !isRetryable({ code, retryAfterMs }))) return this.#lose(wanted)
    if (wanted.state === 'wanted' && (isTaken ? !wanted.waits : !isRetryable({ code, retryAfterMs })))
      return this.#refuse(wanted, new FlotillaError(code, message))
    const waitMs = hintedMs(Math.min(retryAfterMs ?? askAgainMs, askAgainMs), this.#settings.random())
    wanted.stopRenewal = after(waitMs, () => this.#ask(wanted))
  }

  #handle(wanted: Wanted): Lock {
    const { room, name, fence, lost } = wanted
    return {
      ...{ room, name, fence },
      get held() {
        return wanted.state === 'held' && leftOf(wanted.until) > 0
      },
      onLost: (listener) => lost.on('*', listener),
      release: () => this.#release(wanted),
    }
  }

  #release(wanted: Wanted): Promise<void> {
    if (wanted.state === 'over') return Promise.resolve()
    wanted.state = 'leaving'
    wanted.stopRenewal()
    return new Promise((resolve) => {
      wanted.released.push(resolve)
      this.#ask(wanted)
    })
  }

  #left(wanted: Wanted, type: 'lock' | 'unlock', reply: OkFrame | ErrorFrame): void {
    if (type === 'lock' || (reply.type === 'error' && isRetryable(reply))) {
      wanted.stopRenewal = after(type === 'lock' ? 0 : askAgainMs, () => this.#ask(wanted))
      return
    }
    this.#end(wanted)
  }

  #lose(wanted: Wanted): void {
    const wasHeld = wanted.state === 'held'
    this.#end(wanted)
    if (wasHeld) wanted.lost.emit('*', undefined)
  }

  #refuse(wanted: Wanted, error: FlotillaError): void {
    const { settle } = wanted
    this.#end(wanted)
    settle?.reject(error)
  }

  #end(wanted: Wanted): void {
    wanted.state = 'over'
    wanted.settle = undefined
    this.#all.delete(wanted)
    wanted.stopWaiting()
    wanted.stopRenewal()
    wanted.stopExpiry()
    for (const resolve of wanted.released.splice(0)) resolve()
  }
}

const wordsOf = ({ room, name, holder }: Wanted) => ({ room, name: name === '' ? undefined : name, holder })

function leftOf({ wall, monotonic }: Wanted['until']): number {
  return Math.max(0, Math.min(wall - Date.now(), monotonic - performance.now()))
}
