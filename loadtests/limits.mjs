/**
 * make limits: users with more devices than they may have come at once to three edges of a fleet of three workers, one of which is
 * killed on the way; then users are kicked. Prints what happened and writes out/limits.json. --races, --kicks.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { ingestKey, secret, withFleet } from './harness/fleet.mjs'
import { until } from './harness/processes.mjs'
import { come, leave } from './limits/device.mjs'
import { grid } from './report/table.mjs'

const { values: args } = parseArgs({
  options: { races: { type: 'string', default: '1000' }, kicks: { type: 'string', default: '100' } },
})
const [races, kicks] = [Number(args.races), Number(args.kicks)]
const limit = 5
const devices = 8
/** Races under way at the same time. */
const width = 16
/** All devices of a user who is kicked are closed within this, ms (requirement CN10). */
const kickBarMs = 1_000
const tooMany = 4_010
const kicked = 4_403
const file = 'out/limits.json'
const startedAt = Date.now()
const progress = (text) =>
  process.stderr.write(`${String(Math.round((Date.now() - startedAt) / 1_000)).padStart(4)} s  ${text}\n`)
const edgeEnv = {
  FLOTILLA_JWT_SECRET: secret,
  FLOTILLA_CONNECTIONS_PER_USER: String(limit),
  FLOTILLA_EDGE_ACCEPTS_PER_SECOND: '100000',
  FLOTILLA_EDGE_RESUMES_PER_SECOND: '100000',
}
const portOf = (fleet, i) => fleet.edges[i % fleet.edges.length].port

/** Eight devices of one user at once, wherever they land; then a ninth. */
async function race(fleet, i) {
  const user = `racer-${i}`
  const came = await Promise.all(
    Array.from({ length: devices }, (_, each) => come({ port: portOf(fleet, i + each), user })),
  )
  const isIn = came.filter(({ outcome }) => outcome === 'in')
  const refused = came.filter(({ outcome, codes }) => outcome === tooMany && codes[0] === 'TOO_MANY_CONNECTIONS')
  const last = isIn.length === limit ? await come({ port: portOf(fleet, i), user }) : undefined
  await Promise.all([...isIn, ...(last === undefined ? [] : [last])].map(leave))
  const exact = isIn.length === limit && refused.length === devices - limit && last?.outcome === tooMany
  return exact ? null : `${user}: ${came.map(({ outcome }) => outcome).join(' ')}, then ${last?.outcome}`
}

async function raceAll(fleet) {
  const wrong = []
  let next = 0
  let done = 0
  const lane = async () => {
    while (next < races) {
      const found = await race(fleet, next++)
      if (found !== null) wrong.push(found)
      done += 1
      if (done % Math.ceil(races / 10) === 0) progress(`${done} races, ${wrong.length} not exact`)
      if (done === Math.floor(races / 2)) {
        progress('a worker is killed')
        fleet.all('worker')[0].signal('SIGKILL')
      }
    }
  }
  await Promise.all(Array.from({ length: width }, lane))
  return wrong
}

async function deny(fleet, body) {
  const response = await fetch(`http://127.0.0.1:${fleet.ingest.port}/v1/denials`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ingestKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (response.status !== 201) throw new Error(`a denial was answered ${response.status}: ${await response.text()}`)
}

/** How long it takes until the last device of a user is closed, from when the kick was asked for, ms. */
async function kickAll(fleet) {
  const times = []
  for (let i = 0; i < kicks; i += 1) {
    const user = `kicked-${i}`
    const came = await Promise.all(
      Array.from({ length: limit }, (_, each) => come({ port: portOf(fleet, each), user })),
    )
    const at = performance.now()
    await deny(fleet, { type: 'kick', user })
    await until('all are closed', () => came.every(({ device }) => device.closedAtMs !== null))
    for (const { device } of came)
      if (device.closeCode !== kicked) throw new Error(`${user} was closed with ${device.closeCode}`)
    times.push(Math.max(...came.map(({ device }) => device.closedAtMs)) - at)
  }
  return times
}

const found = await withFleet({ workers: 3, edges: 3, ingest: true, pinned: false, edgeEnv }, async (fleet) => {
  progress(`three edges, three workers; ${races} races of ${devices} devices for ${limit} places`)
  const wrong = await raceAll(fleet)
  const times = await kickAll(fleet)
  return { races, devices, limit, wrong, kicks, longestKickMs: Math.max(...times) }
})
mkdirSync('out', { recursive: true })
writeFileSync(file, `${JSON.stringify({ startedAt: new Date(startedAt).toISOString(), ...found }, null, 2)}\n`)
const rows = [
  [`${races} races of ${devices} devices for ${limit} places: not exact`, found.wrong.length, 0],
  [
    `${kicks} users of ${limit} devices kicked: the last device closed after, longest, ms`,
    Math.ceil(found.longestKickMs),
    kickBarMs,
  ],
].map(([what, got, bar]) => ({ what, got, bar, held: got <= bar }))
const columns = {
  what: (row) => row.what,
  found: (row) => row.got,
  'may be': (row) => row.bar,
  held: (row) => (row.held ? 'yes' : 'no'),
}
console.log(`\n${grid(columns, rows)}\n`)
for (const line of found.wrong.slice(0, 10)) console.log(line)
console.log(`Also in ${file}.`)
process.exitCode = rows.every(({ held }) => held) ? 0 : 1
