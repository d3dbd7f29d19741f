import { decodeOut } from '../src/entry.ts'
import type { OutRecord } from '../src/entry.ts'
import { backoff } from './network.ts'
import type { Process } from './network.ts'
import type { World } from './world.ts'

const readBlockMs = 1_000
const trimEveryMs = 1_000

export interface Outbox {
  restart(): void
  stop(): void
}
export interface OutboxOptions {
  readonly lane: number
  readonly boot: string
  onRecords(records: readonly OutRecord[]): void
  onHole(): void
  onGone(): void
}

/** Reads one boot's outbox of one lane, as packages/node's endpoint-outbox.ts does. */
export function startOutbox(world: World, process: Process, options: OutboxOptions): Outbox {
  const { network, stores: store } = world
  const { lane, boot } = options
  const reader = network.reader(process, store.primaryOf(lane))
  const trims = network.connection(process, store.primaryOf(lane))
  let after = '0-0'
  let restarts = 0
  let stopped = false
  let failed = 0
  let trimmedAt = network.clock.now

  function read(): void {
    if (stopped) return
    const asOf = restarts
    reader.read({
      topic: `out ${lane}`,
      blockMs: readBlockMs,
      call: () => store.readOutbox(lane, boot, after, 512),
      ready: ({ exists, entries }) => !exists || entries.length > 0,
      onReply: ({ exists, entries }) => {
        failed = 0
        if (stopped) return
        if (restarts !== asOf) return read()
        if (!exists) {
          stopped = true
          return options.onGone()
        }
        take(entries)
        read()
      },
      onFail: () =>
        network.clock.at(network.clock.now + backoff(network.random, (failed += 1)), () => process.run(read)),
    })
  }

  function take(entries: readonly { id: string; body: string }[]): void {
    for (const { id, body } of entries) {
      if (after !== '0-0' && id !== idAfter(after)) options.onHole()
      after = id
      options.onRecords(decodeOut(body))
      if (stopped) return
    }
    if (after === '0-0' || network.clock.now - trimmedAt < trimEveryMs) return
    trimmedAt = network.clock.now
    const through = after
    trims(
      () => store.trimOutbox(lane, boot, through),
      () => undefined,
      () => undefined,
    )
  }

  read()
  return {
    restart: () => {
      after = '0-0'
      restarts += 1
      reader.interrupt()
    },
    stop: () => {
      stopped = true
      reader.interrupt()
    },
  }
}

function idAfter(id: string): string {
  const dash = id.indexOf('-')
  return `${id.slice(0, dash)}-${Number(id.slice(dash + 1)) + 1}`
}
