import type { ServerFrame } from '@flotilla/core/frames'
import { after, hintedMs } from './backoff.ts'
import { FlotillaError } from './errors.ts'
import type { Settings } from './options.ts'
import { fieldsOf, isRetryable } from './wire.ts'
import type { Wire } from './wire.ts'

export type PresenceFrame = Extract<ServerFrame, { type: 'presence' }>
/** A user in a room, on however many devices. `since` is an ISO 8601 time; `data` is up to the application. */
export type Member = NonNullable<PresenceFrame['joined']>[number]
/** What a user shows of itself: JSON of 512 characters at the most. */
export type Shown = Pick<Member, 'status' | 'data'>

/** The users in a room, and how that differs from the last time. */
export interface RoomPresence {
  readonly count: number
  /** Everybody, this user too; null: too many to be listed. */
  readonly members: readonly Member[] | null
  readonly joined: readonly Member[]
  readonly changed: readonly Member[]
  readonly left: readonly { readonly userId: string; readonly lastSeen: string }[]
}
export type PresenceListener = (presence: RoomPresence) => void

/** Who is in a room, as far as the server has told. */
export class Attendance {
  #members: Map<string, Member> | null = null
  #known = false

  /** Undefined when nothing differs: a list comes with every connection. */
  take({ count, members, joined = [], changed = [], left = [] }: PresenceFrame): RoomPresence | undefined {
    const before = this.#members
    if (members === undefined) {
      for (const { userId } of left) before?.delete(userId)
      for (const member of [...joined, ...changed]) before?.set(member.userId, member)
      return { count, members: this.#list(), joined, changed, left }
    }
    const isFirst = !this.#known
    this.#known = true
    this.#members = members === null ? null : new Map(members.map((member) => [member.userId, member]))
    const now = this.#members
    if (isFirst || now === null || before === null)
      return { count, members: this.#list(), joined: [], changed: [], left: [] }
    const news = {
      joined: [...now.values()].filter(({ userId }) => !before.has(userId)),
      changed: [...now.values()].filter((member) => isOther(before.get(member.userId), member)),
      left: [...before.keys()].filter((userId) => !now.has(userId)).map((userId) => ({ userId, lastSeen: '' })),
    }
    if (news.joined.length + news.changed.length + news.left.length === 0) return undefined
    return { count, members: this.#list(), ...news }
  }

  #list(): readonly Member[] | null {
    return this.#members === null ? null : [...this.#members.values()]
  }
}

function isOther(before: Member | undefined, { status, data }: Member): boolean {
  if (before === undefined) return false
  return before.status !== status || JSON.stringify(before.data) !== JSON.stringify(data)
}

/** After a refusal for now that does not say when, ms. */
const askAgainMs = 1_000

interface Waiting {
  resolve(): void
  reject(error: FlotillaError): void
}

/** What this client shows of its user: said again on every connection. */
export class Showing {
  readonly #settings: Settings
  readonly #wire: Wire
  #fields: string | undefined
  #waiting: Waiting[] = []
  #stop: () => void = () => {}

  constructor(settings: Settings, wire: Wire) {
    this.#settings = settings
    this.#wire = wire
  }

  show({ status, data }: Shown): Promise<void> {
    this.#fields = fieldsOf({ status, data })
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject })
      this.up()
    })
  }

  /** A connection is there. */
  up(): void {
    const fields = this.#fields
    this.#stop()
    if (fields === undefined || !this.#wire.up) return
    this.#wire.request('presence', fields, (reply) => {
      // What was shown since has an answer of its own.
      if (fields !== this.#fields) return
      if (reply.type === 'error' && isRetryable(reply)) {
        const waitMs = hintedMs(reply.retryAfterMs ?? askAgainMs, this.#settings.random())
        this.#stop = after(waitMs, () => this.up())
        return
      }
      const waiting = this.#waiting.splice(0)
      if (reply.type === 'ok') for (const each of waiting) each.resolve()
      else {
        this.#fields = undefined
        for (const each of waiting) each.reject(new FlotillaError(reply.code, reply.message))
      }
    })
  }

  close(error: FlotillaError): void {
    this.#stop()
    for (const each of this.#waiting.splice(0)) each.reject(error)
  }
}
