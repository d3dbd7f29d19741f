/**
 * A state of the small model is made of few different parts, met in very many combinations. So each part is there once and
 * has a number, what a reducer makes of it is computed once, and a state is a row of numbers.
 */
export class Parts<T> {
  readonly #numbers = new Map<string, number>()
  readonly #parts: T[] = []

  /** The number of the part with this text: the first that came with it stands for all. It is not changed from then on. */
  number(text: string, part: T): number {
    let number = this.#numbers.get(text)
    if (number === undefined) {
      number = this.#parts.push(part) - 1
      this.#numbers.set(text, number)
    }
    return number
  }

  at(number: number): T {
    const part = this.#parts[number]
    if (part === undefined) throw new RangeError(`no part ${number}`)
    return part
  }
}

/** What was computed for two numbers. */
export class Memo<T> {
  readonly #known: (Map<number, T> | undefined)[] = []

  get(a: number, b: number, compute: () => T): T {
    const known = (this.#known[a] ??= new Map<number, T>())
    let value = known.get(b)
    if (value === undefined) {
      value = compute()
      known.set(b, value)
    }
    return value
  }
}

/** Of a time, or whatever else there are few of. */
export function memoOf<K, T>(memos: Map<K, Memo<T>>, key: K): Memo<T> {
  let memo = memos.get(key)
  if (memo === undefined) memos.set(key, (memo = new Memo()))
  return memo
}

/** What a step of a reducer leads to. */
interface Stepped<E> {
  readonly next: number
  readonly effects: readonly E[]
}
interface Rules<S> {
  copy(state: S): S
  /** Two states of the same text behave alike. */
  text(state: S): string
}

/** The states of a reducer, and where each input leads from each: computed on a copy, as reducers change theirs in place. */
export class Machine<S, E> {
  readonly #states = new Parts<S>()
  readonly #steps: (Map<string, Stepped<E>> | undefined)[] = []
  readonly #rules: Rules<S>

  constructor(rules: Rules<S>) {
    this.#rules = rules
  }

  number(state: S): number {
    return this.#states.number(this.#rules.text(state), state)
  }

  at(number: number): Readonly<S> {
    return this.#states.at(number)
  }

  /** `input` names what `run` gives to the reducer. */
  step(number: number, input: string, run: (state: S) => readonly E[]): Stepped<E> {
    const steps = (this.#steps[number] ??= new Map<string, Stepped<E>>())
    let stepped = steps.get(input)
    if (stepped === undefined) {
      const state = this.#rules.copy(this.#states.at(number))
      const effects = run(state)
      stepped = { next: this.number(state), effects }
      steps.set(input, stepped)
    }
    return stepped
  }
}

/** What follows from the rest, or is the same for all. */
const hidden: ReadonlySet<string> = new Set(['keys', 'limits', 'entry'])

export function textOf(value: unknown): string {
  return JSON.stringify(value, (key, each: unknown): unknown => {
    if (each instanceof Map || each instanceof Set) return Array.from<unknown>(each)
    return hidden.has(key) ? undefined : each
  })
}

/** What is shared within the value is shared within its copy. `seen`: what stands for what in the copy. */
export function copyOf<T>(value: T, seen = new Map<unknown, unknown>()): T {
  return copy(value, seen) as T
}

function copy(value: unknown, seen: Map<unknown, unknown>): unknown {
  // Lengths of what is packed are never changed.
  if (typeof value !== 'object' || value === null || value instanceof Int32Array) return value
  const known = seen.get(value)
  if (known !== undefined) return known
  if (value instanceof Set) return keep(seen, value, new Set<unknown>(value))
  if (Array.isArray(value)) {
    const to = keep<unknown[]>(seen, value, [])
    for (const each of value) to.push(copy(each, seen))
    return to
  }
  if (value instanceof Map) {
    const to = keep(seen, value, new Map<unknown, unknown>())
    for (const [key, each] of value) to.set(key, copy(each, seen))
    return to
  }
  const to = keep<Record<string, unknown>>(seen, value, {})
  for (const [key, each] of Object.entries(value)) to[key] = copy(each, seen)
  return to
}

/** Known before its parts are copied: they may lead back to it. */
function keep<T>(seen: Map<unknown, unknown>, of: unknown, to: T): T {
  seen.set(of, to)
  return to
}
