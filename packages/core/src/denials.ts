/** Who was denied the fleet by an administrator, as the store keeps it (docs/spec.md DE). */
export interface Denial {
  readonly id: string
  /**
   * `kick` ends the connections that are open when an edge hears of it. `ban` does that and keeps the subject out. `revoke` does the same
   * with tokens: the connections that were opened by one of them are ended, and it opens none.
   */
  readonly type: 'kick' | 'ban' | 'revoke'
  readonly subject: Subject
  /** Of a `revoke` of a user or a tenant: tokens that were issued before, ms since 1970. */
  readonly issuedBeforeMs?: number
  readonly reason?: string
  /** When it is over, ms since 1970; null: never. */
  readonly untilMs: number | null
  readonly atMs: number
  /** Name of the key that asked for it. */
  readonly by: string
}
/** `token`: its `jti`. */
export interface Subject {
  readonly kind: 'user' | 'tenant' | 'connection' | 'token'
  readonly id: string
}
export interface DenialList {
  /** Another one for each change, and for each server that lost some. */
  readonly version: string
  readonly denials: readonly Denial[]
}

/** Denials that a fleet keeps at the most; those that are over are forgotten first. */
export const maxDenials = 10_000
/** A kick is kept so long for edges that hear of it late, ms. */
export const kickKeptMs = 60_000

/** Within this time every edge hears of a kick, ms: who moved meanwhile from one that had not to one that had is ended there. */
export const kickSpreadsMs = 1_000

/** By whom they concern, so that a connection is judged by a look. */
export interface Denials {
  readonly version: string
  readonly ids: ReadonlySet<string>
  readonly bySubject: ReadonlyMap<string, readonly Denial[]>
}

export const noDenials: Denials = { version: '', ids: new Set(), bySubject: new Map() }

export function indexDenials({ version, denials }: DenialList): Denials {
  const bySubject = new Map<string, Denial[]>()
  for (const denial of denials) {
    const key = keyOf(denial.subject)
    const own = bySubject.get(key)
    if (own === undefined) bySubject.set(key, [denial])
    else own.push(denial)
  }
  return { version, ids: new Set(denials.map(({ id }) => id)), bySubject }
}

/** Whom a connection belongs to, as its token says. */
export interface Bearer {
  readonly userId: string
  readonly tenantId?: string | undefined
  readonly tokenId?: string | undefined
  readonly issuedAtMs?: number | undefined
}

/** What keeps this bearer out now. A kick keeps nobody out. */
export function denialOf(denials: Denials, bearer: Bearer, wallMs: number): Denial | undefined {
  return find(denials, subjectsOf(bearer), (denial) => denial.type !== 'kick' && holds(denial, bearer, wallMs))
}

/** A connection, and the one whose place it takes, as its client names it: who kicks that one means this one; `''`: none. */
interface Connected extends Bearer {
  readonly connectionId: string
  readonly replaces?: string
}

/** The kick that a connection would escape which comes back, or moves, while not every edge has heard of it. */
export function freshKickOf(denials: Denials, bearer: Connected, wallMs: number): Denial | undefined {
  const isFresh = ({ type, atMs }: Denial): boolean => type === 'kick' && wallMs - atMs < kickSpreadsMs
  return find(denials, everySubjectOf(bearer), (denial) => isFresh(denial) && holds(denial, bearer, wallMs))
}

/** What ends an open connection, of the denials that were not among those `before`. */
export function endOf(
  { denials, before }: { readonly denials: Denials; readonly before: Denials },
  bearer: Connected,
  wallMs: number,
): Denial | undefined {
  return find(denials, everySubjectOf(bearer), (denial) => !before.ids.has(denial.id) && holds(denial, bearer, wallMs))
}

function find(
  { bySubject }: Denials,
  subjects: readonly Subject[],
  applies: (denial: Denial) => boolean,
): Denial | undefined {
  if (bySubject.size === 0) return undefined
  for (const subject of subjects) {
    const found = bySubject.get(keyOf(subject))?.find(applies)
    if (found !== undefined) return found
  }
  return undefined
}

function subjectsOf({ userId, tenantId, tokenId }: Bearer): readonly Subject[] {
  return [
    { kind: 'user', id: userId },
    ...(tenantId === undefined ? [] : [{ kind: 'tenant', id: tenantId } as const]),
    ...(tokenId === undefined ? [] : [{ kind: 'token', id: tokenId } as const]),
  ]
}

function everySubjectOf(bearer: Connected): readonly Subject[] {
  const { connectionId, replaces = '' } = bearer
  return [
    ...subjectsOf(bearer),
    { kind: 'connection', id: connectionId },
    ...(replaces === '' ? [] : [{ kind: 'connection', id: replaces } as const]),
  ]
}

/** A token that does not say when it was issued counts as issued before. */
function holds({ untilMs, issuedBeforeMs }: Denial, { issuedAtMs }: Bearer, wallMs: number): boolean {
  if (untilMs !== null && wallMs >= untilMs) return false
  return issuedBeforeMs === undefined || issuedAtMs === undefined || issuedAtMs < issuedBeforeMs
}

const keyOf = ({ kind, id }: Subject): string => `${kind}:${id}`

/**
 * With one more; null: there are too many. Those that are over go, and where there is no room the oldest kick that every edge has heard of: with
 * kicks alone nobody may keep bans out. One with the same id takes the place of the one before.
 */
export function withDenial(denials: readonly Denial[], denial: Denial, nowMs: number): readonly Denial[] | null {
  const kept = denials.filter(({ id, untilMs }) => id !== denial.id && (untilMs === null || untilMs > nowMs))
  if (kept.length < maxDenials) return [...kept, denial]
  const oldest = kept
    .filter(({ type, untilMs }) => type === 'kick' && (untilMs ?? Infinity) <= heardUntilMs(nowMs))
    .toSorted((a, b) => (a.untilMs ?? 0) - (b.untilMs ?? 0))[0]
  return oldest === undefined ? null : [...kept.filter((each) => each !== oldest), denial]
}

/** A kick that is over by then has been heard of by every edge that is there, ms since 1970. */
export const heardUntilMs = (nowMs: number): number => nowMs + kickKeptMs - kickSpreadsMs
