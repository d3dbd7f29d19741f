/** A stream as Redis has it: entries in the order of their ids, trimmed from the front. */
export interface Stream {
  readonly entries: { readonly id: string; readonly body: string }[]
  /** Survives trimming, as Redis's last-generated-id does. */
  lastId: string
}

export function createStream(): Stream {
  return { entries: [], lastId: '0-0' }
}

export function compareIds(a: string, b: string): number {
  const [i, j] = [a.indexOf('-'), b.indexOf('-')]
  return Number(a.slice(0, i)) - Number(b.slice(0, j)) || Number(a.slice(i + 1)) - Number(b.slice(j + 1))
}

/** `XADD key *`: by the clock, and above the last id when the clock is behind. */
export function append(stream: Stream, body: string, nowMs: number): string {
  const [ms = 0, n = 0] = stream.lastId.split('-').map(Number)
  const now = Math.floor(nowMs)
  stream.lastId = now > ms ? `${now}-0` : `${ms}-${n + 1}`
  stream.entries.push({ id: stream.lastId, body })
  return stream.lastId
}

/** `XADD key 1-*`: ids `1-0, 1-1, …` without a hole. */
export function appendNumbered(stream: Stream, body: string): void {
  const n = stream.lastId === '0-0' ? 0 : Number(stream.lastId.slice(2)) + 1
  stream.lastId = `1-${n}`
  stream.entries.push({ id: stream.lastId, body })
}

export function readAfter(stream: Stream, after: string, count: number): { id: string; body: string }[] {
  let low = 0
  let high = stream.entries.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareIds(stream.entries[middle]?.id ?? '', after) <= 0) low = middle + 1
    else high = middle
  }
  return stream.entries.slice(low, low + count)
}

/** Drops entries up to and including `through`. */
export function trimThrough(stream: Stream, through: string): void {
  const kept = stream.entries.findIndex((entry) => compareIds(entry.id, through) > 0)
  stream.entries.splice(0, kept < 0 ? stream.entries.length : kept)
}
