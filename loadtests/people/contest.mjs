// Clients that want the same locks, and somebody who sees all of them: no two may have one at a time.
import { connect } from '@flotilla/client'
import { signToken } from '@flotilla/node/jwt'
import { WebSocket } from 'ws'
import { secret } from '../harness/fleet.mjs'
import { sleep } from '../harness/processes.mjs'

const ttlMs = 2_000
const longestHoldMs = 120

/** Runs until `isOver()`; every contender takes one lock after the other. Resolves with what happened. */
export async function contest({ ports, room, contenders, locks, isOver }) {
  /** Who has each lock now, as far as its client knows, and the highest number that it had. */
  const holders = new Map()
  const fences = new Map()
  const found = { given: 0, two: 0, notHigher: 0, lost: 0, refused: 0 }
  const run = async (i) => {
    const token = signToken({ secret, sub: `contender-${i}`, tenant: 'people', ttlSeconds: 3_600 })
    const client = await connect({ url: `ws://127.0.0.1:${ports[i % ports.length]}/ws`, token, WebSocket })
    while (!isOver()) {
      const name = `lock-${Math.floor(Math.random() * locks)}`
      let lock
      try {
        lock = await client.lock(room, { name, ttlMs, waitMs: 30_000 })
      } catch {
        found.refused += 1
        continue
      }
      const other = holders.get(name)
      if (other !== undefined && other.held) found.two += 1
      if (BigInt(lock.fence) <= (fences.get(name) ?? 0n)) found.notHigher += 1
      fences.set(name, BigInt(lock.fence))
      holders.set(name, lock)
      found.given += 1
      lock.onLost(() => (found.lost += 1))
      await sleep(Math.random() * longestHoldMs)
      // From here on it says itself that it has it no more.
      await lock.release()
    }
    client.close()
  }
  await Promise.all(Array.from({ length: contenders }, (_, i) => run(i)))
  return found
}
