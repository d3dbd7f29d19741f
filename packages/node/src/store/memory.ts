import { withDenial } from '@flotilla/core/denials'
import type { Denial, DenialList } from '@flotilla/core/denials'
import { StoreModel } from '@flotilla/core/store-model'
import type { LogEntry } from '@flotilla/core/entry'
import { maxAside } from './port.ts'
import type { FleetStore, OutboxRead, PlaceStore, ReadOptions, Store, StreamEntry } from './port.ts'

export interface MemoryStoreOptions {
  readonly slots: number
  readonly lanes: number
  /** Wall clock, ms since 1970. */
  readonly now?: () => number
}

/**
 * The store in this process's memory: the model of packages/core behind the port, for `make run` and for tests. Nothing
 * survives the process. `model` is there so that a test can look at it and take it back in time.
 */
export function createMemoryStore({
  slots,
  lanes,
  now = Date.now,
}: MemoryStoreOptions): Store & { readonly model: StoreModel } {
  const model = new StoreModel({ slots, lanes }, `memory-${process.pid}-${Math.floor(performance.timeOrigin)}`)
  const waiting = new Map<string, Set<() => void>>()
  const listeners = new Set<(primary: number, run: string) => void>()

  const wake = (key: string): void => {
    const readers = waiting.get(key)
    if (readers === undefined) return
    waiting.delete(key)
    for (const reader of readers) reader()
  }

  /**
   * Resolves when something under `key` is written or woken from now on, after `blockMs`, when the signal aborts, or
   * by `cancel`.
   */
  const written = (key: string, { blockMs, signal }: ReadOptions): { done: Promise<void>; cancel: () => void } => {
    let cancel = (): void => undefined
    const done = new Promise<void>((resolve) => {
      cancel = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', cancel)
        waiting.get(key)?.delete(cancel)
        resolve()
      }
      const timer = setTimeout(cancel, blockMs)
      signal.addEventListener('abort', cancel, { once: true })
      entryOf(waiting, key).add(cancel)
    })
    return { done, cancel }
  }

  /** Tells of a changed run once per run, as a server's replies would. */
  let seenRun = model.run
  const lookAtRun = (): void => {
    if (model.run === seenRun) return
    seenRun = model.run
    for (const listener of listeners) listener(0, seenRun)
  }

  /** Every answer comes in a later turn of the event loop, as from a server. */
  const answer = <T>(call: () => T): Promise<T> =>
    new Promise((resolve, reject) => {
      setImmediate(() => {
        try {
          resolve(call())
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)))
        }
        lookAtRun()
      })
    })

  const wakeOutboxes = (lane: number, boots: Iterable<string>): void => {
    for (const boot of boots) wake(`out ${lane} ${boot}`)
  }

  return {
    model,
    shape: { slots, lanes },
    ackReplicas: 0,
    primaryOf: () => 0,
    inputs: {
      append: (slot, body) =>
        answer(() => {
          model.append(slot, body, now())
          wake(`in ${slot % lanes}`)
        }),
      read: async (lane, cursors, options) => {
        const change = written(`in ${lane}`, options)
        const found = await answer(() => model.read(lane, cursors, options.count))
        if (found.size > 0 || options.signal.aborted) {
          change.cancel()
          return found
        }
        await change.done
        return options.signal.aborted ? new Map() : model.read(lane, cursors, options.count)
      },
      wake: (lane) => wake(`in ${lane}`),
      newest: (slot, count) => answer(() => model.newestInput(slot, count)),
      deadLetter: (slot, entry, reason) => answer(() => model.deadLetter(slot, entry, reason)),
    },
    slots: {
      commit: (lane, commits, run) =>
        answer(() => {
          const reply = model.commit(lane, commits, now(), run)
          for (const commit of commits) wakeOutboxes(lane, commit.outs.keys())
          wake(`log ${lane}`)
          return reply
        }),
      claim: (claim) =>
        answer(() => {
          const reply = model.claim(claim)
          wakeOutboxes(claim.slot % lanes, claim.boots)
          return reply
        }),
      values: (lane, of) => answer(() => model.values(lane, of)),
      vouch: (lane, prefixes, run) => answer(() => model.vouch(lane, prefixes, run)),
      maintain: (lane, work) => answer(() => model.maintain(lane, work, now())),
    },
    outboxes: {
      open: (lane, boot) => answer(() => model.openOutbox(lane, boot)),
      read: async (lane, boot, after, options) => {
        const read = (): OutboxRead => ({ ...model.readOutbox(lane, boot, after, options.count), run: '' })
        const change = written(`out ${lane} ${boot}`, options)
        const found = await answer(read)
        if (!found.exists || found.entries.length > 0 || options.signal.aborted) {
          change.cancel()
          return found
        }
        await change.done
        return options.signal.aborted ? { exists: true, entries: [], run: '' } : read()
      },
      confirm: () => Promise.resolve(''),
      trim: (lane, boot, through) => answer(() => model.trimOutbox(lane, boot, through)),
      remove: (boot) =>
        answer(() => {
          model.removeOutboxes(boot)
          for (let lane = 0; lane < lanes; lane++) wake(`out ${lane} ${boot}`)
        }),
    },
    rooms: {
      range: (room, after, limit) => answer(() => model.roomRange(room, after, limit)),
      tail: (room, before, limit) => answer(() => model.roomTail(room, before, limit)),
      follow: async (lane, after, options) => {
        for (;;) {
          const change = written(`log ${lane}`, options)
          const found = await answer(() => follow(model, after, options.count))
          if (found.size > 0 || options.signal.aborted || options.blockMs === 0) {
            change.cancel()
            return options.signal.aborted ? new Map() : found
          }
          const startedAt = performance.now()
          await change.done
          const leftMs = options.blockMs - (performance.now() - startedAt)
          options = { ...options, blockMs: Math.max(0, leftMs) }
        }
      },
      interest: (slot) => answer(() => model.interest(slot)),
    },
    fleet: {
      register: (member) => answer(() => model.register(member)),
      heartbeat: (member, planVersion) => answer(() => model.heartbeat(member, planVersion)),
      read: () => answer(() => model.readFleet()),
      remove: (boot) => answer(() => model.remove(boot)),
      lead: (boot, ttlMs, term = 0) => answer(() => model.lead(boot, { ttlMs, term }, now())),
      publishPlan: (boot, plan) => answer(() => model.publishPlan(boot, plan, now())),
      nextEpoch: (_boot, above, count) => answer(() => model.nextEpoch(above, count, now())),
      ...memoryDenials(answer),
    },
    places: memoryPlaces(answer),
    watchRuns: (listener) => {
      listeners.add(listener)
      setImmediate(() => {
        if (listeners.has(listener)) listener(0, model.run)
      })
      return () => listeners.delete(listener)
    },
    close: () => Promise.resolve(),
  }
}

function follow(
  model: StoreModel,
  after: ReadonlyMap<string, number>,
  count: number,
): ReadonlyMap<string, readonly LogEntry[]> {
  const found = [...after].map(([room, seq]) => [room, model.roomRange(room, seq, count)] as const)
  return new Map(found.filter(([, entries]) => entries.length > 0))
}

function memoryPlaces(answer: <T>(call: () => T) => Promise<T>): PlaceStore {
  const places = new Map<string, { readonly version: number; readonly text: string }>()
  const asides = new Map<string, StreamEntry[]>()
  return {
    read: (name) => answer(() => places.get(name) ?? null),
    keep: (name, version, text) =>
      answer(() => {
        const isLast = (places.get(name)?.version ?? 0) === version
        if (isLast) places.set(name, { version: version + 1, text })
        return isLast
      }),
    putAside: (name, body) =>
      answer(() => {
        const list = asides.get(name) ?? []
        const id = `${Number.parseInt(list[0]?.id ?? '0', 10) + 1}-0`
        asides.set(name, [{ id, body }, ...list].slice(0, maxAside))
      }),
    aside: (name, count) =>
      answer(() => {
        const list = asides.get(name) ?? []
        return { total: list.length, entries: list.slice(0, count) }
      }),
  }
}

function memoryDenials(answer: <T>(call: () => T) => Promise<T>): Pick<FleetStore, 'deny' | 'allow' | 'denials'> {
  let list: DenialList = { version: '0', denials: [] }
  const change = (denials: readonly Denial[] | null): boolean => {
    if (denials !== null) list = { version: String(Number(list.version) + 1), denials }
    return denials !== null
  }
  const without = (id: string): readonly Denial[] | null =>
    list.denials.some((denial) => denial.id === id) ? list.denials.filter((denial) => denial.id !== id) : null
  return {
    deny: (denial, nowMs) => answer(() => change(withDenial(list.denials, denial, nowMs))),
    allow: (id) => answer(() => change(without(id))),
    denials: (version) => answer(() => (version === list.version ? undefined : list)),
  }
}

function entryOf<T>(map: Map<string, Set<T>>, key: string): Set<T> {
  let set = map.get(key)
  if (set === undefined) map.set(key, (set = new Set()))
  return set
}
