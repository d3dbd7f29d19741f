import type { Client } from '@flotilla/client'
import { until } from '../../fleet/until.ts'
import type { Evidence, Fault } from '../fault.ts'
import { readMessages, shape } from '../harness/logs.ts'
import { bootOf } from '../harness/members.ts'
import { hostile, hostileEntry, hostileFilter, undecodable } from '../harness/poison.ts'
import { keys } from '../harness/redis-state.ts'
import type { World } from '../harness/world.ts'

const slots = Array.from({ length: shape.slots }, (_, slot) => slot)

/** What the dead-letter streams have, as text: slot, reason and body. */
async function deadLetters({ redis }: World): Promise<string[]> {
  const found: string[] = []
  for (let lane = 0; lane < shape.lanes; lane += 1) {
    const entries = (await redis.call('XRANGE', keys.dead(lane), '-', '+')) as [string, string[]][]
    for (const [, [, slot = '', , , , reason = '', , body = '']] of entries) found.push(`${slot} ${reason} ${body}`)
  }
  return found
}

const plannedDead = slots.map((slot) => `${slot} undecodable ${undecodable(slot)}`)

/** What the logs of the hostile rooms have, as text: room, key, options and tail. */
async function committed({ redis }: World): Promise<string[]> {
  const found = await readMessages(
    redis.url,
    slots.map((slot) => hostile(slot).room),
  )
  return found.map(({ room, key, options, tail }) => [room, key, options, tail].join(' '))
}

const plannedLog = slots.map(hostile).map(({ room, key, options, tail }) => [room, key, options, tail].join(' '))

const missing = (planned: readonly string[], found: readonly string[]): string[] => {
  const there = new Set(found)
  return planned.filter((each) => !there.has(each))
}

/** Subscribes to the rooms of hostile messages, to half of them by a filter. Returns how many events came, by room. */
async function listen(client: Client): Promise<ReadonlyMap<string, number>> {
  const came = new Map<string, number>()
  const subscribe = async (slot: number): Promise<void> => {
    const { room } = hostile(slot)
    const onEvent = (): void => void came.set(room, (came.get(room) ?? 0) + 1)
    await client.subscribe(room, slot % 2 === 0 ? { onEvent } : { onEvent, filter: hostileFilter })
  }
  await Promise.all(slots.map(subscribe))
  return came
}

export const poison: Fault = {
  name: 'poison-message',
  about:
    'The input of every slot gets an entry that no producer of ours writes, and behind it a message with hostile content: the one is put aside, the other is committed and delivered as it is, and the slots go on.',
  async inject(world) {
    const { redis, fleet, traffic, any, count } = world
    const [client] = traffic.library
    if (client === undefined) throw new Error('nobody listens')
    const came = await listen(client)
    const boot = await bootOf(world, any(fleet.edges))
    const poisonSlot = async (slot: number): Promise<void> => {
      await redis.call('XADD', keys.input(slot), '*', slot % 7 === 0 ? 'other' : 'b', undecodable(slot))
      await redis.call('XADD', keys.input(slot), '*', 'b', hostileEntry(slot, boot))
    }
    await Promise.all(slots.map(poisonSlot))
    await until('they are put aside', async () => missing(plannedDead, await deadLetters(world)).length === 0)
    await until('hostile messages are committed', async () => missing(plannedLog, await committed(world)).length === 0)
    await until('they are delivered', () => came.size === slots.length)
    count('delivered', came.size)
  },
  evidence,
  never: ['putAsideBesides', 'committedBesides'],
}

async function evidence(world: World): Promise<Evidence> {
  const [dead, log] = await Promise.all([deadLetters(world), committed(world)])
  const [aside, there] = [new Set(dead), new Set(log)]
  const figures = {
    deadLetters: await world.total(world.fleet.workers, 'flotilla_shard_dead_letters_total'),
    putAside: plannedDead.filter((each) => aside.has(each)).length,
    committed: plannedLog.filter((each) => there.has(each)).length,
  }
  const { deadLetters: counted, putAside } = figures
  // As the streams have them, and as the workers counted them.
  const putAsideBesides = Math.max(dead.length, counted) - putAside
  return { ...figures, putAsideBesides, committedBesides: log.length - figures.committed }
}
