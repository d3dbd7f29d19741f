import { Memo, Parts } from './small-parts.ts'

/** How often it is done at the most. */
export interface Budget {
  readonly publishes: number
  /** Control gives the slot to the other worker. */
  readonly moves: number
  /** Control gives a worker that needs it a new epoch, whether or not that has tried the last one. */
  readonly renewals: number
  readonly lostReplies: number
  readonly failOvers: number
  /** The server that the last fail-over left takes its place again, as a replica of nobody since. */
  readonly backs: number
  readonly crashes: number
}
/** What is not a worker's, the edge's or the server's. */
interface Rest {
  readonly control: number
  /** What the replica has, while there may be a fail-over. */
  readonly replica: number | undefined
  /** What the server has that the last fail-over left, while it may come back. */
  readonly leftBehind: number | undefined
  readonly left: Budget
}

const kinds = ['publishes', 'moves', 'renewals', 'lostReplies', 'failOvers', 'backs', 'crashes'] as const

/** The states that the rest comes to. */
export class SmallRest {
  readonly #rests = new Parts<Rest>()
  readonly #used = new Memo<number>()
  readonly #controlled = new Memo<number>()
  readonly #replicated = new Memo<number>()
  readonly #leftBehind = new Memo<number>()

  number(rest: Rest): number {
    const left = kinds.map((kind) => rest.left[kind])
    return this.#rests.number(`${rest.control} ${rest.replica} ${rest.leftBehind} ${left.join()}`, rest)
  }

  at(rest: number): Rest {
    return this.#rests.at(rest)
  }

  use(rest: number, kind: keyof Budget): number {
    return this.#used.get(rest, kinds.indexOf(kind), () => {
      const { left } = this.at(rest)
      return this.number({ ...this.at(rest), left: { ...left, [kind]: left[kind] - 1 } })
    })
  }

  withControl(rest: number, control: number): number {
    return this.#controlled.get(rest, control, () => this.number({ ...this.at(rest), control }))
  }

  withReplica(rest: number, replica: number | undefined): number {
    return this.#replicated.get(rest, replica ?? -1, () => this.number({ ...this.at(rest), replica }))
  }

  withLeftBehind(rest: number, leftBehind: number | undefined): number {
    return this.#leftBehind.get(rest, leftBehind ?? -1, () => this.number({ ...this.at(rest), leftBehind }))
  }
}
