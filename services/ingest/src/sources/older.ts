/** Messages that were given out before this session and not acknowledged, as the consumer tells when the session begins. */
export interface OlderOptions<M> {
  /** How many there are. */
  readonly count: number
  /** The last place in the stream that had been given out. */
  readonly through: number
  take(message: M): void
}

/** Keeps newer messages back until every older one has come, as the server gives an older one out only when its ack wait is over. */
export interface Older<M> {
  /** Nothing is kept back (any more). */
  readonly open: boolean
  /** Older ones that have not come yet. */
  readonly missing: number
  take(message: M): void
  /** What the consumer says now of messages without acknowledgement: an older one that left the stream is not waited for. */
  check(unacknowledged: number): void
  /** What is kept back. */
  kept(): Iterable<M>
}

/** Hands everything over in the order of the stream, once: what was kept back sorted, and then what comes. */
export function createOlder<M extends { readonly seq: number }>(options: OlderOptions<M>): Older<M> {
  const { count, through, take } = options
  const kept = new Map<number, M>()
  let missing = count
  function release(): void {
    missing = 0
    const all = [...kept.values()].sort((a, b) => a.seq - b.seq)
    kept.clear()
    for (const message of all) take(message)
  }
  return {
    get open() {
      return missing === 0
    },
    get missing() {
      return missing
    },
    take: (message) => {
      if (missing === 0) return take(message)
      if (kept.has(message.seq)) return
      kept.set(message.seq, message)
      if (message.seq <= through) missing -= 1
      if (missing === 0) release()
    },
    check: (unacknowledged) => {
      if (missing > 0 && unacknowledged <= kept.size) release()
    },
    kept: () => kept.values(),
  }
}
