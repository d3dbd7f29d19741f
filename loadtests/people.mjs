/**
 * make people: three edges and three workers. Clients take locks from each other while their worker is killed. Then members of a room are watched while
 * its worker and an edge are killed: some of the edge's clients end with it, the others come back over the other edges. Prints what
 * happened and writes out/people.json. --seconds (of the locks), --members.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { slotOf } from '@flotilla/core/slot'
import { secret, withFleet } from './harness/fleet.mjs'
import { sleep, until } from './harness/processes.mjs'
import { contest } from './people/contest.mjs'
import { open, watch } from './people/member.mjs'
import { grid } from './report/table.mjs'

const { values: args } = parseArgs({
  options: { seconds: { type: 'string', default: '30' }, members: { type: 'string', default: '90' } },
})
const [seconds, members] = [Number(args.seconds), Number(args.members)]
/** Nobody whose client ended with the edge may be taken for a member this long after the edge was killed, ms. */
const ghostBarMs = 15_000
const contenders = 24
const locks = 4
const file = 'out/people.json'
const startedAt = Date.now()
const progress = (text) =>
  process.stderr.write(`${String(Math.round((Date.now() - startedAt) / 1_000)).padStart(4)} s  ${text}\n`)
const edgeEnv = {
  FLOTILLA_JWT_SECRET: secret,
  FLOTILLA_EDGE_ACCEPTS_PER_SECOND: '100000',
  FLOTILLA_EDGE_RESUMES_PER_SECOND: '100000',
}
const portsFrom = (fleet, i) => fleet.edges.map((_, each) => fleet.edges[(i + each) % fleet.edges.length].port)

/** Kills the worker that serves the room, and resolves when another does. */
async function killOwner(fleet, room) {
  const [control] = fleet.all('control')
  const owner = async () => {
    const { plan } = await fetch(`http://127.0.0.1:${control.port}/v1/fleet`).then((response) => response.json())
    return Object.entries(plan.slots).find(([, slots]) => slots.includes(slotOf(room, 128)))?.[0]
  }
  const boot = await owner()
  const worker = fleet.all('worker').find(({ id }) => boot.startsWith(`${id}#`))
  progress(`${worker.id}, which serves ${room}, is killed`)
  worker.signal('SIGKILL')
  await until('another serves it', async () => (await owner()) !== boot)
}

async function lockTrial(fleet) {
  progress(`${contenders} clients take ${locks} locks from each other`)
  const endsAt = Date.now() + seconds * 1_000
  const ports = portsFrom(fleet, 0)
  const room = 'document:people:1'
  const trial = contest({ ports, room, contenders, locks, isOver: () => Date.now() > endsAt })
  await sleep((seconds * 1_000) / 3)
  await killOwner(fleet, room)
  const found = await trial
  progress(JSON.stringify(found))
  return found
}

async function presenceTrial(fleet) {
  const room = 'chat:people:1'
  const [dying, ...others] = fleet.edges
  // Those who watch are not at the edge that is to die.
  const watched = others.map(() => watch())
  const watchers = await Promise.all(
    others.map(({ port }, i) => open({ ports: [port], user: `watcher-${i}`, room, watches: true, ...watched[i] })),
  )
  const all = await Promise.all(
    Array.from({ length: members }, (_, i) => {
      // Of each three one is at the edge that dies and ends with it, and one is there and comes back.
      const atDying = i % 3 < 2
      const ports = atDying ? [dying.port, ...others.map(({ port }) => port)] : [others[i % others.length].port]
      return open({ ports, user: `member-${i}`, room, returns: i % 3 !== 0 })
    }),
  )
  const expected = members + watchers.length
  await until('everybody is seen', () => watched.every(({ seen }) => seen.users.size === expected))
  for (const { seen } of watched) Object.assign(seen, { joined: [], left: [] })
  progress(`${expected} members are seen by ${watchers.length}`)
  await killOwner(fleet, room)
  // Longer than the grace: whoever was not told of again would have left by now.
  await sleep(ghostBarMs)
  const overWorkers = watched.reduce((sum, { seen }) => sum + seen.joined.length + seen.left.length, 0)
  progress(`${overWorkers} comings and goings were told while its worker was replaced`)
  for (const { seen } of watched) Object.assign(seen, { joined: [], left: [] })
  const killedAt = performance.now()
  dying.signal('SIGKILL')
  progress(`${dying.id} is killed`)
  await sleep(ghostBarMs)
  const gone = new Set(all.filter((_, i) => i % 3 === 0).map(({ user }) => user))
  const ghosts = watched.reduce((sum, { seen }) => sum + [...gone].filter((user) => seen.users.has(user)).length, 0)
  const stays = new Set(all.filter((_, i) => i % 3 !== 0).map(({ user }) => user))
  const missing = watched.reduce((sum, { seen }) => sum + [...stays].filter((user) => !seen.users.has(user)).length, 0)
  const flaps = watched
    .flatMap(({ seen }) => [...seen.joined, ...seen.left])
    .filter(({ user }) => stays.has(user)).length
  const times = watched.flatMap(({ seen }) => seen.left.map(({ atMs }) => atMs - killedAt))
  const back = all.filter(({ connections }) => connections > 1).length
  for (const each of [...all, ...watchers]) each.close()
  return { members, cameBack: back, overWorkers, ghosts, missing, flaps, lastLeftMs: Math.max(...times) }
}

const found = await withFleet({ workers: 3, edges: 3, pinned: false, edgeEnv }, async (fleet) => {
  const ofLocks = await lockTrial(fleet)
  return { locks: ofLocks, presence: await presenceTrial(fleet) }
})
mkdirSync('out', { recursive: true })
writeFileSync(file, `${JSON.stringify({ startedAt: new Date(startedAt).toISOString(), ...found }, null, 2)}\n`)
const { presence } = found
const rows = [
  [
    `${found.locks.given} locks given to ${contenders} clients, their worker killed: two had one at a time`,
    found.locks.two,
    0,
  ],
  ['locks whose number was not above the one before', found.locks.notHigher, 0],
  ['the worker of the room killed: members said to have come or left', presence.overWorkers, 0],
  [`an edge killed: members that ended with it and are still there after ${ghostBarMs / 1_000} s`, presence.ghosts, 0],
  [`${presence.cameBack} members came back: said to have left or come`, presence.flaps, 0],
  ['members that are there and are not seen', presence.missing, 0],
].map(([what, got, bar]) => ({ what, got, bar, held: got <= bar }))
const columns = {
  what: (row) => row.what,
  found: (row) => row.got,
  'may be': (row) => row.bar,
  held: (row) => (row.held ? 'yes' : 'no'),
}
console.log(`\n${grid(columns, rows)}\n`)
console.log(
  `The last of those who left was told ${Math.round(presence.lastLeftMs)} ms after the edge was killed. Also in ${file}.`,
)
process.exitCode = rows.every(({ held }) => held) && found.locks.given > 0 && presence.cameBack > 0 ? 0 : 1
