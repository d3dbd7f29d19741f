/** A Lease of the Kubernetes API, as far as control needs it. */
export interface Lease {
  /** Who has it; `''`: nobody. */
  readonly holder: string
  /** So long it is the holder's after it was renewed, s. */
  readonly durationSeconds: number
  /** Counts changes of the holder. */
  readonly transitions: number
  /** When it was renewed, as its holder wrote it: only whether it changes is looked at, no clock is compared with it. */
  readonly renewed: string
  /** Epochs up to here may have been issued; 0: it does not say. */
  readonly epochs: number
}
/** As it is stored: who replaces it names the version that it has read. */
export interface StoredLease extends Lease {
  readonly version: string
}

/** Of control's election. A Lease lasts as long as the one in Redis does where there is no Kubernetes. */
export const leaseSeconds = 3
/** How often it is looked at and renewed, ms. */
export const leaseLookMs = 1_000
/** Epochs that a leader has in hand at the least, or two for each slot: as many as it needs while the API is away. */
export const epochsInHand = 10_000

/** Changed in place by `stepElection` only. */
export interface Election {
  readonly identity: string
  /** So many epochs are to be in hand. */
  readonly inHand: number
  /** Those in hand are `next … last`. `base`: others may have been given those up to here, when this process last wrote to the Lease. */
  readonly epochs: { next: number; last: number; wanted: number; base: number }
  /** The most that any Lease has said: one that was deleted, or has lost a number, goes on above. */
  readonly heard: { epochs: number; transitions: number }
  /** As it was last seen, and since when so, by this process's clock. */
  seen: { readonly lease: StoredLease; readonly sinceMs: number } | null
  /** The number of the term in which this process leads, above that of everybody who led before; null: it does not. */
  term: number | null
  asking: boolean
  askedAtMs: number
  /** What is asked now is a renewal of the version last seen: it was not read again before. */
  isUnread: boolean
}

export type ElectionInput =
  | { readonly type: 'tick' }
  /** What was read; null: there is none yet. */
  | { readonly type: 'found'; readonly lease: StoredLease | null }
  | { readonly type: 'written'; readonly lease: StoredLease }
  /** Somebody else wrote first. */
  | { readonly type: 'conflict' }
  /** The API did not answer, or refused: what a write did is not known. */
  | { readonly type: 'failed' }
  /** Epochs above this are wanted, `count` of them. */
  | { readonly type: 'wanted'; readonly above: number; readonly count: number }

/** Each is answered by exactly one of `found`, `written`, `conflict` and `failed`. */
export type ElectionEffect =
  | { readonly type: 'read' }
  | { readonly type: 'create'; readonly lease: Omit<Lease, 'renewed'> }
  | { readonly type: 'replace'; readonly lease: Omit<Lease, 'renewed'>; readonly version: string }

/**
 * `floor`: the clock in seconds, where epochs begin when nothing is known of a Lease. It is a guess: one that was deleted may have named more,
 * for each term names thousands. Who saw that Lease goes on above it; who did not needs the store's counter, and what members have heard of.
 */
export function startElection(identity: string, floor: number, slots = 0): Election {
  return {
    ...{ identity, inHand: Math.max(epochsInHand, 2 * slots) },
    epochs: { next: floor + 1, last: floor, wanted: 0, base: floor },
    heard: { epochs: floor, transitions: -1 },
    ...{ seen: null, term: null, asking: false, askedAtMs: -Infinity, isUnread: false },
  }
}

/**
 * Elects one leader by a Lease, after the rules of client-go's leaderelection (docs/spec.md LE): a holder is taken for gone when its record
 * has not changed for as long as it lasts, by the clock of who looks. A leader that does not reach the API goes on until it hears
 * of another: the store takes nothing from it any more once another has told it a higher term.
 */
export function stepElection(state: Election, input: ElectionInput, nowMs: number): ElectionEffect[] {
  switch (input.type) {
    case 'tick':
      return look(state, nowMs)
    case 'wanted': {
      const { epochs } = state
      epochs.wanted = Math.max(epochs.wanted, input.above + input.count, epochs.next - 1 + input.count)
      // It is asked for with the next renewal, which is now.
      if (epochs.wanted > epochs.last) state.askedAtMs = -Infinity
      return look(state, nowMs)
    }
    case 'found':
      return judge(state, input.lease, nowMs)
    case 'written':
      state.asking = false
      won(state, input.lease, nowMs)
      return []
    case 'conflict':
      state.asking = state.isUnread
      state.isUnread = false
      // Somebody wrote to it since it was last seen: who, it says itself.
      return state.asking ? [{ type: 'read' }] : []
    case 'failed':
      state.asking = false
      return []
  }
}

/** The first of `count` epochs that nobody was given and are above `above`; undefined when so many are not in hand. */
export function takeEpochs(state: Election, above: number, count: number): number | undefined {
  const first = Math.max(state.epochs.next, above + 1)
  if (state.term === null || first + count - 1 > state.epochs.last) return undefined
  state.epochs.next = first + count
  return first
}

function look(state: Election, nowMs: number): ElectionEffect[] {
  if (state.asking || nowMs - state.askedAtMs < leaseLookMs) return []
  const { seen, term, identity } = state
  state.asking = true
  state.askedAtMs = nowMs
  state.isUnread = term !== null && seen?.lease.holder === identity
  if (!state.isUnread || seen === null) return [{ type: 'read' }]
  const { version, transitions } = seen.lease
  return [{ type: 'replace', version, lease: mine(state, transitions) }]
}

function hear({ heard }: Election, { epochs, transitions }: Lease): void {
  heard.epochs = Math.max(heard.epochs, epochs)
  heard.transitions = Math.max(heard.transitions, transitions)
}

function judge(state: Election, found: StoredLease | null, nowMs: number): ElectionEffect[] {
  const { identity, seen, heard } = state
  if (found === null) {
    state.term = null
    return [{ type: 'create', lease: mine(state, heard.transitions + 1) }]
  }
  hear(state, found)
  if (seen === null || !isSame(seen.lease, found)) state.seen = { lease: found, sinceMs: nowMs }
  const sinceMs = state.seen?.sinceMs ?? nowMs
  const { version, holder, transitions, durationSeconds } = found
  // One of an earlier term was brought back from a copy.
  const isMine = holder === identity && transitions === heard.transitions
  if (isMine) return [{ type: 'replace', version, lease: mine(state, transitions) }]
  state.term = null
  const isFree = holder === '' || holder === identity || nowMs - sinceMs >= durationSeconds * 1_000
  if (isFree) return [{ type: 'replace', version, lease: mine(state, heard.transitions + 1) }]
  state.asking = false
  return []
}

function isSame(a: Lease, b: Lease): boolean {
  return a.holder === b.holder && a.transitions === b.transitions && a.renewed === b.renewed
}

function mine(state: Election, transitions: number): Omit<Lease, 'renewed'> {
  const { identity, epochs, heard } = state
  // Nobody's are issued again, also not the rest of who led before.
  epochs.base = Math.max(heard.epochs, epochs.last)
  return {
    ...{ holder: identity, durationSeconds: leaseSeconds, transitions },
    epochs: Math.max(epochs.base, toName(state, state.term === transitions + 1)),
  }
}

/** As many as are to be in hand at the begin of a term, and twice as many when it goes on and fewer are left. */
function toName({ epochs, inHand }: Election, goesOn: boolean): number {
  const { next, last, wanted, base } = epochs
  if (!goesOn) return Math.max(base, wanted) + inHand
  if (wanted > last) return wanted + inHand
  return last - next + 1 < inHand ? next - 1 + 2 * inHand : last
}

function won(state: Election, lease: StoredLease, nowMs: number): void {
  const { epochs } = state
  const term = lease.transitions + 1
  hear(state, lease)
  if (state.term !== term) epochs.next = epochs.base + 1
  epochs.last = lease.epochs
  state.term = term
  state.seen = { lease, sinceMs: nowMs }
}
