import type { CountedFrame } from './connections.ts'
import type { Edge } from './edge.ts'
import type { World } from './world.ts'

const tickEveryMs = 100
/** A connection that is not answered for so long is given up, ms. */
const patienceMs = 5_000
/** A socket that vanished is closed by its edge within, ms. */
const vanishedMs = 5_000
/** So many refusals in a row, when all has been well for so long, ms, and it rests. */
const refusals = 3
const restlessMs = 12_000

interface PhoneOptions {
  readonly name: string
  /** Its user's. */
  readonly room: string
  edges(): readonly Edge[]
}
interface Line {
  readonly edge: Edge
  readonly since: number
  id: string
  /** The edge hears of it, at once or, when it just vanished, in time. */
  close(vanished: boolean): void
}

/** One of a user's devices: keeps one connection, moves it to another edge now and then, and comes back when it is lost. */
export class Phone {
  readonly options: PhoneOptions
  readonly #world: World
  #held: Line | undefined
  #coming: Line | undefined
  /** The connection that it had last, as far as it knows. */
  #ticket = ''
  #dueAt = 0
  #refused = 0
  /** It gave a connection up without knowing whether that had its place already. */
  #gaveUp = false
  /** The edge that it is connected to drains. */
  #mustMove = false
  #calmSince = Infinity

  constructor(world: World, options: PhoneOptions) {
    this.#world = world
    this.options = options
    const { clock, random } = world.network
    clock.at(random.int(0, 3_000), () => this.#tick())
  }

  /** Its connection's id; undefined while it has none, or is about to have another. */
  get connection(): string | undefined {
    return this.#coming === undefined ? this.#held?.id : undefined
  }
  /** It was refused again and again, and tries no more. */
  get resting(): boolean {
    return this.#refused >= refusals && this.#held === undefined && this.#coming === undefined
  }
  /** From now on the connection is kept. */
  calmDown(): void {
    this.#calmSince = this.#world.network.clock.now
    this.#refused = 0
  }

  #tick(): void {
    const { clock, random } = this.#world.network
    if (this.#held?.edge.process.alive === false) this.#held = undefined
    if (this.#coming !== undefined) this.#waitFor(this.#coming)
    else if (clock.now >= this.#dueAt) {
      if (this.#held === undefined ? !this.resting : this.#mustMove) this.#come()
      else if (this.#held !== undefined && this.#calmSince === Infinity && random.chance(0.03)) this.#leave(this.#held)
    }
    clock.at(clock.now + tickEveryMs, () => this.#tick())
  }

  #waitFor(line: Line): void {
    const { clock, random } = this.#world.network
    if (line.edge.process.alive && clock.now - line.since <= patienceMs) return
    line.close(false)
    this.#coming = undefined
    this.#gaveUp = true
    this.#dueAt = clock.now + random.int(0, 1_000)
  }

  /** For another edge, without a gap; or just away. */
  #leave(line: Line): void {
    const { clock, random } = this.#world.network
    if (random.chance(0.6)) return this.#come()
    line.close(random.chance(0.5))
    this.#held = undefined
    this.#dueAt = clock.now + random.int(0, 1_000)
  }

  #come(): void {
    const { random } = this.#world.network
    const { room, edges } = this.options
    const alive = edges().filter((edge) => edge.process.alive && edge.ready())
    if (alive.length === 0) return
    // Now and then it was started anew, and has forgotten.
    if (this.#held === undefined && random.chance(0.2)) this.#ticket = ''
    const take = (line: Line, frame: CountedFrame): void => this.#take(line, frame)
    this.#coming = openLine(this.#world, random.pick(alive), { room, replaces: this.#ticket, take })
  }

  #take(line: Line, frame: CountedFrame): void {
    const { clock, random } = this.#world.network
    if (frame.type === 'drain') {
      if (line !== this.#held) return
      this.#mustMove = true
      this.#dueAt = clock.now + frame.afterMs * random.next()
    } else if (frame.type === 'connected' && line === this.#coming) {
      this.#ticket = line.id = frame.connection
      if (this.#mustMove && this.#held !== undefined) this.#world.reach('phone moved')
      this.#mustMove = false
      this.#held?.close(false)
      this.#held = line
      this.#coming = undefined
      this.#refused = 0
      this.#gaveUp = false
    } else if (line === this.#coming) {
      this.#world.log(`${this.options.name} is told ${frame.type}`)
      this.#coming = undefined
      this.#dueAt = clock.now + random.int(500, 2_000)
      // Its edge drained before anybody heard whether it had the place of the one before already.
      if (frame.type === 'goingAway') this.#gaveUp = true
      if (frame.type === 'tooMany') this.#turnedAway(line, frame.connection)
    } else if (line === this.#held && frame.type !== 'connected') {
      this.#mustMove = false
      this.#held = undefined
      this.#dueAt = clock.now + random.int(0, 500)
    }
  }

  #turnedAway({ since: sinceMs }: Line, connection: string): void {
    const held = this.#held
    this.#world.reach('one too many')
    if (this.#world.network.clock.now > this.#calmSince + restlessMs) this.#refused += 1
    if (held === undefined || !held.edge.process.alive || this.#ticket !== held.id || this.#gaveUp) return
    const text = `${this.options.name} was refused with the ticket of ${held.id}, which it has`
    this.#world.record.turnedAway.push({ connection, ticket: held.id, sinceMs, text })
  }
}

interface Opening {
  readonly room: string
  readonly replaces: string
  take(line: Line, frame: CountedFrame): void
}

/** An ordered line with a delay in each direction. What is under way when it is closed is lost. */
function openLine(world: World, edge: Edge, { room, replaces, take }: Opening): Line {
  const { clock, random } = world.network
  let [up, down, open] = [0, 0, true]
  let end: (() => void) | undefined
  const delay = (): number => 0.2 + random.next() * 4
  const toEdge = (event: () => void, lateMs = 0): void => {
    up = Math.max(up, clock.now + lateMs + delay())
    clock.at(up, () => edge.process.run(event))
  }
  const line: Line = {
    edge,
    since: clock.now,
    id: '',
    close: (vanished) => {
      open = false
      toEdge(() => end?.(), vanished ? random.int(0, vanishedMs) : 0)
    },
  }
  toEdge(() => {
    end = edge.count(room, replaces, (frame) => {
      down = Math.max(down, clock.now + delay())
      clock.at(down, () => {
        if (open) take(line, frame)
      })
    })
  })
  return line
}
