import type { OutRecord } from './entry.ts'

/**
 * Acknowledgements that wait until the replicas have what they acknowledge (docs/adr/0011-acknowledged-by-replicas.md). One
 * per outbox; changed in place by `stepHeldAcks` only.
 */
export interface HeldAcks {
  /** In the order in which they were read: those that were asked about first. */
  held: HeldRead[]
  /** How many of them the question under way is about; 0 while there is none. */
  asked: number
}

/** What one read brought, and the server's run under which it was read for certain; `''` when that is not known. */
export interface HeldRead {
  readonly run: string
  readonly records: readonly OutRecord[]
}

export type HeldAcksInput =
  | ({ readonly type: 'read' } & HeldRead)
  /** Everything that the server had under `run` when it was asked is replicated; `''`: not within the time given. */
  | { readonly type: 'answered'; readonly run: string }

export type HeldAcksEffect =
  /** Ask the server what it has replicated; answered by one `answered`. */
  | { readonly type: 'ask' }
  | { readonly type: 'release'; readonly records: readonly OutRecord[] }
  /** They are of a state that the server no longer has: what they were about must be sent again. */
  | { readonly type: 'drop' }

export function createHeldAcks(): HeldAcks {
  return { held: [], asked: 0 }
}

/**
 * Holds acknowledgements and rewinds, in order, and lets go of them once a question that was put after they were read is
 * answered under the run under which they were read: then the replicas have the commits that wrote them. One question
 * at a time; what is read meanwhile waits for the next. Held is at most what the producers' windows hold.
 */
export function stepHeldAcks(state: HeldAcks, input: HeldAcksInput): readonly HeldAcksEffect[] {
  const effects: HeldAcksEffect[] = []
  if (input.type === 'read') {
    const records = input.records.filter(isHeld)
    if (records.length > 0) state.held.push({ run: input.run, records })
  } else takeAnswer(state, input.run, effects)
  if (state.asked === 0 && state.held.length > 0) {
    state.asked = state.held.length
    effects.push({ type: 'ask' })
  }
  return effects
}

function takeAnswer(state: HeldAcks, run: string, effects: HeldAcksEffect[]): void {
  const { asked } = state
  state.asked = 0
  if (run === '') return
  const proven = state.held.splice(0, asked)
  const records = proven.filter((each) => each.run === run).flatMap((each) => each.records)
  if (records.length > 0) effects.push({ type: 'release', records })
  if (proven.some((each) => each.run !== run)) effects.push({ type: 'drop' })
}

const isHeld = ({ type }: OutRecord): boolean => type === 'ack' || type === 'rewind'
