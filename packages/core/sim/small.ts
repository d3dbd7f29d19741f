import { parseSlotValue } from '../src/commit.ts'
import { parseEpoch } from '../src/position.ts'
import type { SmallBug } from './small-calls.ts'
import { SmallControl } from './small-control.ts'
import { SmallEdge } from './small-edge.ts'
import { SmallRest } from './small-rest.ts'
import type { Budget } from './small-rest.ts'
import { Rows } from './small-rows.ts'
import type { Row } from './small-rows.ts'
import { SmallStore } from './small-store.ts'
import { SmallWorkers } from './small-worker.ts'

/**
 * The small model: one slot, two workers, one edge, and a server that is replaced by a replica that lacks the tail. The
 * reducers and the store model are the real ones; what may happen next is a set of named actions, so that every order of
 * them can be tried (explore.ts). What nobody has to do is done a few times at the most, so the orders come to an end.
 *
 * The workers are alike: nothing is lost by letting `w1` be the first that serves. A run is told as often as heartbeats may tell
 * it, again and again, whenever that makes a difference.
 */
const edgeBoot = 'edge-1#a'
const room = 'public:a'
const firstRun = 'run-1'
const startMs = 1_000
/** More than a producer waits before it sends again, and than maintenance waits, ms. */
const roundMs = 1_100
/** Rounds in which everything must come to rest when nothing goes wrong any more. */
const maxRounds = 40

/** What an action leads to. */
export interface Next {
  /** Index in `actions`. */
  readonly action: number
  readonly row: Row
  readonly faults: readonly string[]
}
interface Settling {
  readonly row: Row
  readonly faults: readonly string[]
}

const common = ['look', 'outbox', 'publish', 'copy', 'fail-over', 'back'] as const
const ofWorkers = ['execute', 'answer', 'plan', 'run', 'read', 'lose', 'crash', 'move'] as const
export const actions: readonly string[] = [
  ...common,
  ...[0, 1].flatMap((i) => ofWorkers.map((action) => `${action} ${i}`)),
]
const both = [0, 1] as const
const none: readonly string[] = []
const noServers = { replica: undefined, leftBehind: undefined }
const nothingLeft: Budget = { publishes: 0, moves: 0, renewals: 0, lostReplies: 0, failOvers: 0, backs: 0, crashes: 0 }

export interface SmallOptions {
  readonly bug?: SmallBug | undefined
  /** Control moves a slot on before the others have heard of the last plan, as from an owner that counts as dead and lives. */
  readonly hasty?: boolean | undefined
  /** A server that comes back tells the run that it had: nothing told it that another took its place (ADR 10). */
  readonly undemoted?: boolean | undefined
}

export class SmallModel {
  /** The first worker serves the slot, one message is acknowledged, and the replica has all of that. */
  readonly root: Row
  readonly #hasty: boolean
  readonly #undemoted: boolean
  readonly #store: SmallStore
  readonly #workers: SmallWorkers
  readonly #edge: SmallEdge
  readonly #control: SmallControl
  readonly #rest = new SmallRest()
  /** From where all is known to come to rest, whole, by round. */
  readonly #settled: Rows[] = []
  /** It does not pass but while all comes to rest. */
  readonly #now: number
  readonly #budget: Budget
  /** Of the slot at the root. */
  readonly #inc: number

  constructor(budget: Budget, { bug, hasty = false, undemoted = false }: SmallOptions = {}) {
    this.#hasty = hasty
    this.#undemoted = undemoted
    this.#budget = budget
    this.#control = new SmallControl(bug, undemoted)
    this.#store = new SmallStore(edgeBoot, bug)
    this.#edge = new SmallEdge(this.#store, { boot: edgeBoot, room })
    const keys = Array.from({ length: budget.publishes + 1 }, (_, i) => SmallEdge.keyOf(i + 1))
    this.#workers = new SmallWorkers(this.#store, { room, keys, hasty, undemoted })
    const alive = new Set([edgeBoot])
    const [one = 0, other = 0] = ['w1#a', 'w2#b'].map((boot) => this.#workers.create(boot, alive, startMs))
    const store = this.#store.empty()
    const rest = this.#rest.number({ control: this.#control.create(firstRun), ...noServers, left: nothingLeft })
    const moved = this.#move([store, this.#edge.create(firstRun), one, other, rest], 0)
    const published = this.#edge.publish(moved[1], store, startMs)
    let row: Row = [published.store, published.edge, moved[2], moved[3], moved[4]]
    let now = startMs
    do row = this.#round(row, (now += roundMs)).row
    while (!this.#isAtRest(row))
    this.#now = now
    const { control } = this.#rest.at(row[4])
    const begun = this.#rest.number({
      ...{ control, ...noServers, left: budget },
      ...(budget.failOvers > 0 ? { replica: row[0] } : {}),
    })
    this.root = [row[0], row[1], row[2], row[3], begun]
    this.#inc = this.#store.inc(row[0])
  }

  /** Everything that may happen next. */
  next(row: Row): Next[] {
    const found: Next[] = []
    const [store, edge, one, other, rest] = row
    const add = (action: (typeof common)[number], to: Row, faults = none): void => {
      found.push({ action: common.indexOf(action), row: to, faults })
    }
    const { left, replica, leftBehind } = this.#rest.at(rest)
    const looked = this.#look(row, left.renewals > 0)
    if (looked !== undefined) add('look', looked.renews ? this.#use(looked.row, 'renewals') : looked.row)
    const read = this.#edge.read(edge, store, this.#now)
    if (read.edge !== edge) add('outbox', [read.store, read.edge, one, other, rest], read.faults)
    if (left.publishes > 0) {
      const turn = this.#edge.publish(edge, store, this.#now)
      add('publish', this.#use([turn.store, turn.edge, one, other, rest], 'publishes'), turn.faults)
    }
    if (replica !== undefined) {
      if (replica !== store) add('copy', [store, edge, one, other, this.#rest.withReplica(rest, store)])
      add('fail-over', this.#failOver(row, replica, 'failOvers'))
    }
    if (leftBehind !== undefined) add('back', this.#failOver(row, leftBehind, 'backs'))
    this.#nextOf(row, 0, found)
    this.#nextOf(row, 1, found)
    return found
  }

  #nextOf(row: Row, i: 0 | 1, found: Next[]): void {
    const [store] = row
    const [now, worker] = [this.#now, workerOf(row, i)]
    const it = this.#workers.at(worker)
    if (!it.alive) return
    const add = (action: (typeof ofWorkers)[number], to: Row, faults = none): void => {
      found.push({ action: common.length + i * ofWorkers.length + ofWorkers.indexOf(action), row: to, faults })
    }
    const turn = (action: (typeof ofWorkers)[number], to: Omit<Turn, 'store'>, after = store): void =>
      add(action, withWorker(row, i, { worker: to.worker, store: after }), to.faults)
    const { left, control } = this.#rest.at(row[4])
    if (it.executes) {
      const executed = this.#workers.execute(worker, store)
      turn('execute', executed, executed.store)
    }
    if (it.answers) turn('answer', this.#workers.answer(worker, now))
    if (!it.told) turn('plan', this.#workers.plan(worker, this.#control.plan(control), now))
    const heard = this.#workers.run(worker, store, now)
    if (this.#workers.at(heard.worker).mode !== it.mode) turn('run', heard)
    const read = this.#workers.read(worker, store, now)
    if (read.worker !== worker) turn('read', read)
    const become = (next: number): Row => withWorker(row, i, { worker: next, store })
    if (left.lostReplies > 0 && it.loses) add('lose', this.#use(become(this.#workers.loseReply(worker)), 'lostReplies'))
    if (left.crashes > 0) add('crash', this.#use(become(this.#workers.crash(worker)), 'crashes'))
    if (left.moves > 0 && this.#mayMove(row, i)) add('move', this.#use(this.#move(row, i), 'moves'))
  }

  /** From here on nothing goes wrong and everything comes to its turn: then all must come to rest, whole. */
  settle(from: Row): readonly string[] {
    const path: Row[] = []
    let row = from
    const needless = this.#needless(from)
    if (needless.length > 0) return needless
    for (let round = 0; round < maxRounds; round += 1) {
      const settling = this.#round(row, this.#now + (round + 1) * roundMs)
      row = settling.row
      const faults = [...settling.faults, ...this.#needless(row)]
      if (faults.length > 0) return faults
      const settled = (this.#settled[round] ??= new Rows())
      if (settled.has(row)) break
      path.push(row)
      if (!this.#isAtRest(row)) continue
      const broken = this.#check(row)
      if (broken.length > 0) return broken
      break
    }
    if (path.length === maxRounds) return ['liveness: it does not come to rest']
    path.forEach((each, round) => this.#settled[round]?.add(each, nowhere))
    return none
  }

  /** Time passes, and everything comes to its turn once. */
  #round(from: Row, now: number): Settling {
    let row = from
    const faults: string[] = []
    const heir = both.find((i) => this.#mayMove(row, i) && !this.#isOwnerAlive(row))
    if (heir !== undefined) row = this.#move(row, heir)
    for (const i of both) {
      if (!this.#workers.at(workerOf(row, i)).alive) continue
      const plan = this.#control.plan(this.#rest.at(row[4]).control)
      const turn = this.#workers.round(workerOf(row, i), row[0], { plan, now })
      faults.push(...turn.faults)
      row = withWorker(row, i, turn)
    }
    row = this.#look(row)?.row ?? row
    const turn = this.#edge.tick(this.#edge.read(row[1], row[0], now), now)
    return { row: [turn.store, turn.edge, row[2], row[3], row[4]], faults: [...faults, ...turn.faults] }
  }

  #isAtRest(row: Row): boolean {
    const quiet = [row[2], row[3]].every((number) => {
      const { alive, mode, calls } = this.#workers.at(number)
      return !alive || (mode === 'serving' && calls.length === 0)
    })
    return quiet && this.#isOwnerAlive(row) && this.#edge.at(row[1]).rests && this.#look(row) === undefined
  }

  /** At rest: what was acknowledged is there, or its loss is told; nothing is there twice. */
  #check([store, edge]: Row): string[] {
    const faults: string[] = []
    const { inc } = parseSlotValue(this.#store.value(store))
    const entries = this.#store.at(store).roomRange(room, 0, Infinity)
    const log = entries.flatMap((entry) => entry.messages.map((each) => each.key))
    for (const { message, epoch, seq } of this.#edge.at(edge).acknowledged) {
      if ((parseEpoch(epoch)?.inc ?? 0) < inc || log[seq - 1] === message) continue
      faults.push(`lost: ${message} was acknowledged at ${epoch}:${seq}, the log has ${log[seq - 1]}`)
    }
    if (new Set(log).size < log.length) faults.push(`duplicate: the log has ${log.join(' ')}`)
    return faults
  }

  /**
   * Continuity is given up only where the server went back, and whoever knows the tail has died or was to give the slot away. An owner that
   * was there all the time writes again what a server lacks.
   */
  #needless([store, , , , rest]: Row): readonly string[] {
    if (this.#store.inc(store) <= this.#inc) return none
    const { left } = this.#rest.at(rest)
    const did = (kind: keyof Budget): boolean => left[kind] < this.#budget[kind]
    return did('failOvers') && (did('crashes') || did('moves')) ? none : ['needless: continuity was given up']
  }

  /** What control would write if it looked now. `mayRenew`: it may give a new epoch. */
  #look(row: Row, mayRenew = true): { row: Row; renews: boolean } | undefined {
    const { control } = this.#rest.at(row[4])
    const { run } = this.#store.at(row[0])
    const looked = this.#control.look(control, this.#workers.at(row[2]), this.#workers.at(row[3]), run)
    if (looked === undefined || (looked.renews && !mayRenew)) return undefined
    return { row: this.#publishPlan(row, looked.control), renews: looked.renews }
  }

  /**
   * Whether control would give the slot to the worker. Of an owner that lives it waits for the report of the last move (SP, `inFlight`). To
   * find an owner dead takes 3 s under one run: by then control has looked, and whoever lives has heard of it and acted on it.
   */
  #mayMove(row: Row, i: 0 | 1): boolean {
    const worker = workerOf(row, i)
    const { boot, alive, told, calls, mode } = this.#workers.at(worker)
    const { control } = this.#rest.at(row[4])
    if (!alive || this.#control.owner(control) === boot) return false
    if (this.#hasty) return true
    if (this.#isOwnerAlive(row)) return this.#control.isReported(control)
    const heard = this.#workers.run(worker, row[0], this.#now)
    return told && calls.length === 0 && this.#workers.at(heard.worker).mode === mode && this.#look(row) === undefined
  }

  #isOwnerAlive(row: Row): boolean {
    const owner = this.#control.owner(this.#rest.at(row[4]).control)
    return both.some((i) => this.#bootOf(row, i) === owner && this.#workers.at(workerOf(row, i)).alive)
  }

  #move(row: Row, i: 0 | 1): Row {
    return this.#publishPlan(row, this.#control.move(this.#rest.at(row[4]).control, this.#bootOf(row, i)))
  }

  #publishPlan([store, edge, one, other, rest]: Row, control: number): Row {
    const [here, there] = [this.#workers.untold(one), this.#workers.untold(other)]
    return [store, edge, here, there, this.#rest.withControl(rest, control)]
  }

  /** Another server takes the place of the one that was there, with what it has, and has a replica of its own. */
  #failOver([store, edge, one, other, rest]: Row, next: number, how: 'failOvers' | 'backs'): Row {
    const keepsRun = how === 'backs' && this.#undemoted
    const promoted = keepsRun ? next : this.#store.failOver(next, this.#store.at(store).run)
    const used = this.#rest.use(rest, how)
    const { left } = this.#rest.at(used)
    const replicated = this.#rest.withReplica(used, left.failOvers > 0 ? promoted : undefined)
    const servers = this.#rest.withLeftBehind(replicated, left.backs > 0 ? store : undefined)
    return [promoted, edge, this.#workers.failAll(one), this.#workers.failAll(other), servers]
  }

  #bootOf(row: Row, i: 0 | 1): string {
    return this.#workers.at(workerOf(row, i)).boot
  }

  #use(row: Row, kind: keyof Budget): Row {
    return withRest(row, this.#rest.use(row[4], kind))
  }
}

type Turn = ReturnType<SmallWorkers['execute']>
const nowhere = { row: 0, action: 0 }

function workerOf(row: Row, i: 0 | 1): number {
  return i === 0 ? row[2] : row[3]
}

function withWorker(row: Row, i: 0 | 1, { worker, store }: { readonly worker: number; readonly store: number }): Row {
  const [, edge, one, other, rest] = row
  return i === 0 ? [store, edge, worker, other, rest] : [store, edge, one, worker, rest]
}

function withRest([store, edge, one, other]: Row, rest: number): Row {
  return [store, edge, one, other, rest]
}
