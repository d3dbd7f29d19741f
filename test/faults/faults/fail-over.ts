import { wait } from '@flotilla/node/backoff'
import type { RedisServer } from '@flotilla/node/testing/redis-server'
import type { Fault, Needs } from '../fault.ts'
import {
  answeringAt,
  commitsOf,
  lagOf,
  replicasOf,
  toldOf,
  waitForReplica,
  writesOf,
  writtenBy,
} from '../harness/redis-state.ts'
import { takenOver } from '../harness/members.ts'
import type { World } from '../harness/world.ts'

/** Every process reaches Redis by a fixed address, which is made to lead to another server. */
const needs: Needs = { replica: true, linked: ['edge', 'shard', 'control', 'ingest'] }

const told = (world: World) => Promise.resolve({ timesTold: toldOf(world) })
const slotsTakenOver = async ({ fleet, total }: World) => ({
  slotsTakenOver: await total(fleet.controls, 'flotilla_control_moves_total', 'orphan'),
})
const toldAndTakenOver = async (world: World) => ({ ...(await told(world)), ...(await slotsTakenOver(world)) })

/** What the replica lacks. The primary goes on: at its end it is more. */
async function countLag({ redis, replica, count }: World): Promise<void> {
  count('bytesBehind', await lagOf(redis, replica))
  count('commitsBehind', (await commitsOf(redis)) - (await commitsOf(replica)))
}

/** The replica hears nothing from now on, while the primary goes on for `ms`. */
async function fallBehind(world: World, ms: number): Promise<void> {
  const { replicaLink, recorder, count } = world
  recorder.note({ type: 'fault', phase: 'behind' })
  replicaLink.set('both', { held: true })
  const before = recorder.acknowledged
  await wait(ms)
  count('acknowledgedBehind', recorder.acknowledged - before)
  await countLag(world)
}

const ackedByReplica = (...processes: readonly string[]) =>
  Object.fromEntries(processes.map((name) => [name, { FLOTILLA_ACK_REPLICAS: '1' }]))

/** The same, where publishes wait for the replica: from a moment later on none may be answered. */
async function fallBehindUnanswered(world: World, ms: number): Promise<void> {
  const { replicaLink, recorder, count } = world
  const begun = (): number => recorder.lines.reduce((sum, { type }) => sum + Number(type === 'invoke'), 0)
  replicaLink.set('both', { held: true })
  // What the replica had confirmed is on its way to the clients.
  await wait(500)
  const before = { acknowledged: recorder.acknowledged, begun: begun() }
  await wait(ms)
  const answered = recorder.acknowledged - before.acknowledged
  if (answered > 0) throw new Error(`${answered} publishes were acknowledged although the replica hears nothing`)
  count('begunBehind', begun() - before.begun)
  await countLag(world)
}

/** What the replica has is the truth from now on. The address leads to it for whoever connects anew. */
async function promote(world: World, replica: RedisServer = world.replica): Promise<void> {
  const before = await answeringAt(replica.port)
  world.replicaLink.reset()
  await replica.call('REPLICAOF', 'NO', 'ONE')
  for (const link of world.links()) link.retarget(replica.port)
  world.primary = replica
  // As everybody sees it who connects now: what was a replica answers, and is a primary.
  const seen = await Promise.all(world.links().map(({ port }) => answeringAt(port)))
  const all = before.role === 'slave' && seen.every(({ run, role }) => run === before.run && role === 'master')
  world.count(replica === world.replica ? 'promoted' : 'promotedBack', all ? 1 : 0)
}

/** A replica that is behind is promoted; only some of the processes move to it at once, the others after `ms`. */
async function leaveSomeBehind(world: World, ms: number, [stay, move]: Sides = split(world)): Promise<void> {
  await fallBehind(world, 500)
  await promote(world)
  for (const link of move) link.reset()
  // Only of those left behind: the others have been cut off from it, and the replica has left it.
  const [bytes, writes] = [await writtenBy(world.redis), await writesOf(world.redis)]
  await wait(ms)
  world.count('bytesWrittenBehind', (await writtenBy(world.redis)) - bytes)
  world.count('writesBehind', (await writesOf(world.redis)) - writes)
  for (const link of stay) link.reset()
}

export const failOvers: readonly Fault[] = [
  {
    name: 'fail-over',
    about: 'The primary is killed and its replica, in step, is promoted behind a fixed address.',
    needs,
    async inject(world) {
      await waitForReplica(world.redis, world.replica)
      await world.redis.kill9()
      await promote(world)
    },
  },
  {
    name: 'fail-over-lagging',
    about: 'The replica is 1 to 3 s behind when the primary is killed, and is promoted; the owners live.',
    needs,
    async inject(world) {
      await fallBehind(world, world.random.int(1_000, 3_000))
      await world.redis.kill9()
      await promote(world)
    },
  },
  {
    name: 'fail-over-lagging-owners-lost',
    about: 'The same, and all workers die with the primary: what is lost must be told.',
    needs,
    mayLose: true,
    async inject(world) {
      await fallBehind(world, 1_500)
      await world.redis.kill9()
      await Promise.all(world.fleet.workers.map((each) => each.kill('SIGKILL')))
      await promote(world)
      await Promise.all(world.fleet.workers.map((each) => each.start()))
    },
    evidence: told,
  },
  {
    name: 'fail-over-acknowledged-by-replica',
    about:
      'The same where a publish is acknowledged when the replica has it (`FLOTILLA_ACK_REPLICAS=1`): clients are told of a loss, as some of them saw what the replica did not get, and nothing acknowledged is lost.',
    needs: { ...needs, env: ackedByReplica('edge-1', 'edge-2', 'ingest-1') },
    mayTell: ['epoch'],
    async inject(world) {
      const { redis, replica, fleet } = world
      await fallBehindUnanswered(world, 1_500)
      await redis.kill9()
      await Promise.all(fleet.workers.map((each) => each.kill('SIGKILL')))
      await promote(world)
      await Promise.all(fleet.workers.map((each) => each.start()))
      await redis.start()
      await redis.call('REPLICAOF', '127.0.0.1', replica.port)
    },
  },
  {
    name: 'old-primary-writes',
    about:
      'A replica that is behind is promoted, and for 2 s some processes still write to the old primary, which accepts it.',
    needs,
    inject: (world) => leaveSomeBehind(world, 2_000),
  },
  {
    name: 'old-primary-writes-long',
    about:
      'The same for 8 s: at least one worker is not on the side of control, is declared dead, and another takes its slots over.',
    needs: { ...needs, workers: 3 },
    mayLose: true,
    inject: (world) => leaveSomeBehind(world, 8_000, splitWorkers(world)),
    evidence: slotsTakenOver,
  },
  {
    name: 'fail-over-and-back',
    about: 'The replica is promoted; the first server comes back as its replica and is promoted again.',
    needs,
    async inject(world) {
      const { redis, replica } = world
      await fallBehind(world, 500)
      await redis.kill9()
      await promote(world)
      await world.fleet.settled(60_000)
      await redis.start()
      await redis.call('REPLICAOF', '127.0.0.1', replica.port)
      await waitForReplica(replica, redis)
      await replica.kill9()
      await promote(world, redis)
    },
  },
  {
    name: 'replica-away-at-claim',
    about:
      'A worker dies and its slots are claimed while the replica hears nothing (its link to the primary is held); then the primary is killed and the replica promoted.',
    needs,
    mayLose: true,
    async inject(world) {
      const { redis, replicaLink, traffic, recorder } = world
      recorder.note({ type: 'fault', phase: 'behind' })
      replicaLink.set('both', { held: true })
      await killAndTakeOver(world)
      await traffic.more(500)
      await countLag(world)
      await redis.kill9()
      await promote(world)
    },
    evidence: toldAndTakenOver,
  },
  {
    name: 'replica-dead-at-claim',
    about:
      'The replica is killed (SIGKILL), a worker dies and its slots are claimed; then the primary is killed, and the replica is started on its file and promoted.',
    needs,
    mayLose: true,
    async inject(world) {
      const { redis, replica, traffic, count, recorder } = world
      recorder.note({ type: 'fault', phase: 'behind' })
      await replica.kill9()
      await killAndTakeOver(world)
      await traffic.more(500)
      count('replicaDead', replica.pid === undefined && (await replicasOf(redis)) === 0 ? 1 : 0)
      const commits = await commitsOf(redis)
      // The primary first: a replica that comes back while it lives would hear everything from it.
      await redis.kill9()
      await replica.start()
      count('commitsBehind', commits - (await commitsOf(replica)))
      await promote(world)
    },
    evidence: toldAndTakenOver,
  },
]

/** A worker dies, with commits of which the replica hears nothing, and its slots are claimed. */
async function killAndTakeOver(world: World): Promise<void> {
  const worker = world.any(world.fleet.workers)
  await world.traffic.more(500)
  await worker.kill('SIGKILL')
  await takenOver(world, worker)
}

/** Links that stay, and links that move. */
type Sides = readonly [Links, Links]
type Links = ReturnType<World['links']>

/** Some links of each kind, at least one in each half. */
function split(world: World): Sides {
  const all = world.links()
  const first = world.random.int(0, all.length - 1)
  const of = (i: number): Links => all.slice(i % all.length, (i % all.length) + 1)
  return splitAround(world, of(first), of(first + 1))
}

/** Control and a worker that can take slots are apart from another worker, whose slots they are. */
function splitWorkers(world: World): Sides {
  const { fleet, links, random } = world
  const lone = world.any(fleet.workers)
  const taker = world.any(fleet.workers.filter((each) => each !== lone))
  const [withControl, without] = [links(...fleet.controls, taker), links(lone)]
  return random.chance(0.5) ? splitAround(world, withControl, without) : splitAround(world, without, withControl)
}

/** These stay and those move; each of the others does the one or the other. */
function splitAround({ links, random }: World, stay: Links, move: Links): Sides {
  const rest = links().filter((link) => !stay.includes(link) && !move.includes(link))
  const staying = rest.filter(() => random.chance(0.5))
  return [
    [...stay, ...staying],
    [...move, ...rest.filter((link) => !staying.includes(link))],
  ]
}
