import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { LogEntry } from './entry.ts'
import { createFeed, isForgotten, needsTick, stepFeed } from './feed.ts'
import type { FeedEffect, FeedInput, FeedRecord, Since } from './feed-state.ts'
import { formatEpoch, parseEpoch } from './position.ts'
import type { Position } from './position.ts'

/**
 * One room, its owner, its log, an outbox that loses and repeats, reads that fail or come late, and clients that come
 * back. Every client's view is checked against what was committed, at every step.
 */
const room = 'public:r'
const wallStart = 1_700_000_000_000

interface Client {
  readonly id: number
  /** What it would resume from. */
  at: Position | null
  state: 'away' | 'asked' | 'live'
}
interface Read {
  readonly request: number
  readonly after: number
  readonly limit: number
  entries?: readonly LogEntry[] | null
}

class World {
  readonly feed = createFeed(room, 3)
  readonly clients: Client[] = Array.from({ length: 4 }, (_, id) => ({ id, at: null, state: 'away' }))
  /** `<inc>.<tag>` → the messages of that life, index 0 unused. */
  readonly truth = new Map<string, string[]>()
  readonly outbox: (FeedRecord | { readonly type: 'reset'; readonly inc: number })[] = []
  readonly declarations: string[] = []
  readonly reads: Read[] = []
  readonly losses: string[] = []
  log: LogEntry[] = []
  inc = 5
  tag = 0
  head = 0
  commits = 10
  next = 0
  interested = false
  lost = false
  now = 0
  refused = 0

  get epoch(): string {
    return formatEpoch({ inc: this.inc, tag: this.tag })
  }
  get life(): string[] {
    let life = this.truth.get(this.epoch)
    if (life === undefined) this.truth.set(this.epoch, (life = ['']))
    return life
  }

  publish(count: number): void {
    this.commits += 1
    if (this.tag === 0) this.tag = this.commits
    const first = this.head + 1
    const tails = Array.from({ length: count }, (_, i) => `${this.epoch}:${first + i}`)
    for (const tail of tails) this.life.push(tail)
    this.head += count
    const messages = tails.map((tail) => ({ sender: 's', key: tail, options: '', tail }))
    this.log.push({ inc: this.inc, tag: this.tag, first, timeMs: wallStart + this.now, messages })
    const events = tails.map((tail) => ({ options: '', tail }))
    if (this.interested) this.outbox.push({ type: 'events', room, epoch: this.epoch, first, events })
  }
  /** The store falls back by `entries` of the log, and says so. */
  fallBack(entries: number): void {
    this.log = this.log.slice(0, Math.max(0, this.log.length - entries))
    const last = this.log.at(-1)
    const kept = last === undefined ? 0 : last.first + last.messages.length - 1
    const before = this.life.slice(0, kept + 1)
    this.inc += 1
    if (last === undefined) this.tag = 0
    this.head = kept
    this.truth.set(this.epoch, [...before])
    this.outbox.push({ type: 'reset', inc: this.inc })
  }
  expire(): void {
    this.log = []
    this.tag = 0
    this.head = 0
  }
  trim(): void {
    if (this.log.length > 1) this.log = this.log.slice(1)
  }
  /** The owner takes what was declared. */
  answer(): void {
    const nonce = this.declarations.shift()
    if (nonce === undefined) return
    this.interested = nonce !== '-'
    if (this.interested) this.outbox.push({ type: 'interest', room, epoch: this.epoch, head: this.head, nonce })
  }
  digest(): void {
    if (this.interested) this.outbox.push({ type: 'head', room, epoch: this.epoch, head: this.head })
  }

  receive(): void {
    const record = this.outbox[this.next]
    if (record === undefined) return
    if (this.lost) {
      this.lost = false
      this.step({ type: 'resync' })
    }
    this.next += 1
    if (record.type === 'reset') this.step(record)
    else this.step({ type: 'record', record })
  }
  lose(): void {
    if (this.next >= this.outbox.length) return
    this.next += 1
    this.lost = true
  }
  /** The reader begins again, as after a change of run. */
  reread(back: number): void {
    this.next = Math.max(0, this.next - back)
    this.step({ type: 'resync' })
  }
  read(): void {
    const read = this.reads.find((each) => each.entries === undefined)
    if (read === undefined) return
    const entries = this.log.filter((entry) => entry.first + entry.messages.length - 1 > read.after)
    read.entries = entries.slice(0, Math.min(2, read.limit))
  }
  reply(ok: boolean): void {
    const read = this.reads.shift()
    if (read === undefined) return
    if (read.entries === undefined && ok) {
      this.reads.unshift(read)
      return this.read()
    }
    this.step({ type: 'history', request: read.request, entries: ok ? (read.entries ?? null) : null })
  }
  tick(ms: number): void {
    this.now += ms
    if (needsTick(this.feed)) this.step({ type: 'tick' })
  }

  join(client: Client, since: Position | null): void {
    const epoch = since === null ? undefined : parseEpoch(since.epoch)
    const from: Since | null = since === null || epoch === undefined ? null : { epoch, seq: since.seq }
    client.state = 'asked'
    client.at = since
    this.step({ type: 'add', subscriber: client.id, since: from })
  }
  leave(client: Client): void {
    client.state = 'away'
    this.step({ type: 'remove', subscriber: client.id })
  }

  step(input: FeedInput): void {
    const effects = stepFeed(this.feed, input, { now: this.now, wallMs: wallStart + this.now })
    for (const effect of effects) this.execute(effect)
  }
  execute(effect: FeedEffect): void {
    switch (effect.type) {
      case 'declare':
        this.declarations.push(effect.nonce)
        break
      case 'withdraw':
        this.declarations.push('-')
        break
      case 'fetch':
        this.reads.push({ request: effect.request, after: effect.after, limit: effect.limit })
        break
      case 'deliver':
        for (const client of this.clients) if (client.state === 'live') this.take(client, effect.first, effect.events)
        break
      case 'answer':
        this.answered(effect)
        break
      case 'refuse':
        this.refused += 1
        this.clients.filter((client) => client.id === effect.subscriber).forEach((client) => (client.state = 'away'))
        break
      case 'position':
        if (!effect.recovered) this.losses.push(effect.reason ?? '')
        for (const client of this.clients) if (client.state === 'live') this.moved(client, effect)
        break
      case 'ephemeral':
        break
    }
  }
  take(client: Client, first: number, events: readonly { readonly tail: string }[]): void {
    const { at } = client
    if (at === null) throw new Error('live without a position')
    expect(first, 'contiguous').toBe(at.seq + 1)
    const life = this.truth.get(lifeOf(at.epoch))
    events.forEach((event, i) => expect(event.tail).toBe(life?.[first + i]))
    client.at = { epoch: at.epoch, seq: at.seq + events.length }
  }
  answered(effect: Extract<FeedEffect, { type: 'answer' }>): void {
    const client = this.clients[effect.subscriber]
    if (client?.state !== 'asked') throw new Error('answered without a question')
    client.state = 'live'
    if (effect.recovered && client.at !== null) {
      expect(effect.events.length, 'all that was missed').toBe(effect.position.seq - client.at.seq)
      client.at = { epoch: effect.position.epoch, seq: client.at.seq }
      if (effect.events.length > 0) this.take(client, client.at.seq + 1, effect.events)
    } else {
      if (!effect.recovered) this.losses.push(effect.reason ?? '')
      expect(effect.events).toEqual([])
      client.at = effect.position
    }
    expect(client.at).toEqual(effect.position)
  }
  moved(client: Client, effect: Extract<FeedEffect, { type: 'position' }>): void {
    if (effect.recovered) expect(effect.position.seq).toBe(client.at?.seq)
    client.at = effect.position
  }

  /** The network is well for a while: everything that can be said is said. */
  settle(rounds = 400): void {
    for (let i = 0; i < rounds; i++) {
      this.answer()
      this.receive()
      this.read()
      this.reply(true)
      if (i % 4 === 0) this.digest()
      // Fast enough for a replay of many pages to be done within a subscription's deadline.
      this.tick(40)
    }
    for (let i = 0; i < 100 && this.next < this.outbox.length; i++) this.receive()
  }
}

/** An empty room's epoch carries the hour in which it was issued. */
function lifeOf(epoch: string): string {
  return epoch.split('.').slice(0, 2).join('.')
}

type Op = (world: World) => void
const client = fc.integer({ min: 0, max: 3 })
const pick = (world: World, id: number): Client =>
  world.clients[id] ?? ({ id: 0, at: null, state: 'away' } satisfies Client)
const comeBack: fc.Arbitrary<Op> = client.map((id) => (world: World) => {
  const who = pick(world, id)
  if (who.state !== 'away') world.leave(who)
  world.join(who, who.at)
})
const publish: fc.Arbitrary<Op> = fc.integer({ min: 1, max: 3 }).map((n) => (world: World) => world.publish(n))
const benign: fc.Arbitrary<Op>[] = [
  publish,
  publish,
  publish,
  fc.constant((world: World) => world.answer()),
  fc.constant((world: World) => world.receive()),
  fc.constant((world: World) => world.receive()),
  fc.constant((world: World) => world.lose()),
  fc.integer({ min: 1, max: 6 }).map((n) => (world: World) => world.reread(n)),
  fc.constant((world: World) => world.read()),
  fc.boolean().map((ok) => (world: World) => world.reply(ok)),
  fc.constant((world: World) => world.digest()),
  fc.constantFrom(50, 400, 1_500).map((ms) => (world: World) => world.tick(ms)),
  client.map((id) => (world: World) => world.leave(pick(world, id))),
  comeBack,
  comeBack,
]
const harsh: fc.Arbitrary<Op>[] = [
  ...benign,
  fc.integer({ min: 0, max: 3 }).map((n) => (world: World) => world.fallBack(n)),
  fc.constant((world: World) => world.trim()),
  fc.constant((world: World) => world.expire()),
  // A position that nobody ever told it.
  fc.tuple(client, fc.integer({ min: 0, max: 12 })).map(([id, seq]) => (world: World) => {
    const who = pick(world, id)
    if (who.state !== 'away') world.leave(who)
    if (seq > world.head) world.join(who, { epoch: world.epoch, seq })
  }),
]

function run(ops: readonly Op[]): World {
  const world = new World()
  for (const who of world.clients.slice(0, 2)) world.join(who, null)
  world.answer()
  world.receive()
  for (const op of ops) op(world)
  return world
}

/** Long ones: most of what can go wrong takes a history. */
function scripts(ops: readonly fc.Arbitrary<Op>[]): fc.Arbitrary<Op[]> {
  return fc.array(fc.oneof(...ops), { minLength: 20, maxLength: 160, size: 'max' })
}

function settled(world: World): void {
  // A subscription that could not be judged in time was refused with a time to retry, and a client does retry.
  for (let tries = 0; tries < 3; tries++) {
    for (const who of world.clients) if (who.state === 'away') world.join(who, who.at)
    world.settle(150)
  }
  world.settle()
  for (const who of world.clients) {
    expect(who.state).toBe('live')
    if (who.at !== null && lifeOf(who.at.epoch) === world.epoch) expect(who.at.seq).toBe(world.head)
    else expect(world.head, 'only a room that went by in silence has another life').toBe(0)
  }
  for (const who of world.clients) world.leave(who)
  world.settle()
  expect(isForgotten(world.feed)).toBe(true)
}

/** Fewer where every expression is counted (test/mutants). */
const numRuns = fc.readConfigureGlobal().numRuns ?? 600

it('[FE1] whatever is lost, repeated or late, every view is contiguous, agrees with the log, and ends at the head', () => {
  fc.assert(
    fc.property(scripts(harsh), (ops) => settled(run(ops))),
    { numRuns },
  )
})

it('[RS1] without a loss in the store nobody is ever told of one', () => {
  fc.assert(
    fc.property(scripts(benign), (ops) => {
      const world = run(ops)
      settled(world)
      expect(world.losses).toEqual([])
    }),
    { numRuns },
  )
})

it('the model says what it must: a record is of the room', () => {
  const world = new World()
  world.join(pick(world, 0), null)
  world.answer()
  world.publish(2)
  expect(world.outbox.map((record) => record.type)).toEqual(['interest', 'events'])
})
