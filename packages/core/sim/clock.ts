/** Virtual time: events happen in the order of their time, those of the same time in the order they were planned. */
export interface Clock {
  readonly now: number
  at(time: number, event: () => void): void
  /** Runs events until `time`. Throws when more than `maxEvents` happen: something runs in circles. */
  run(time: number): void
  readonly events: number
}

const maxEvents = 2_000_000

export function createClock(): Clock {
  const heap: { time: number; order: number; event: () => void }[] = []
  let now = 0
  let order = 0
  let events = 0
  const before = (i: number, j: number): boolean => {
    const [a, b] = [heap[i], heap[j]]
    return a !== undefined && b !== undefined && (a.time < b.time || (a.time === b.time && a.order < b.order))
  }
  const swap = (i: number, j: number): void => {
    const [a, b] = [heap[i], heap[j]]
    if (a === undefined || b === undefined) return
    heap[i] = b
    heap[j] = a
  }
  const pop = (): (() => void) => {
    const [top] = heap
    const last = heap.pop()
    if (top === undefined || last === undefined) throw new Error('nothing planned')
    if (heap.length > 0) heap[0] = last
    for (let i = 0; ;) {
      const [l, r] = [2 * i + 1, 2 * i + 2]
      let least = i
      if (before(l, least)) least = l
      if (before(r, least)) least = r
      if (least === i) break
      swap(i, least)
      i = least
    }
    now = top.time
    return top.event
  }
  return {
    get now() {
      return now
    },
    get events() {
      return events
    },
    at: (time, event) => {
      heap.push({ time: Math.max(time, now), order: order++, event })
      for (let i = heap.length - 1; i > 0;) {
        const parent = (i - 1) >> 1
        if (!before(i, parent)) break
        swap(i, parent)
        i = parent
      }
    },
    run: (time) => {
      for (let top = heap[0]; top !== undefined && top.time <= time; top = heap[0]) {
        if (++events > maxEvents) throw new Error(`more than ${maxEvents} events: something runs in circles`)
        pop()()
      }
      now = Math.max(now, time)
    },
  }
}
