// (h) What a single post costs in the process that takes it, with no fleet behind it: the floor of "single posts".
import { ingestKey } from '../harness/fleet.mjs'
import { cpuOf, startFlags, startLoad } from '../harness/processes.mjs'
import { singlePosts } from './ways.mjs'

/** The last one goes through the framework's router: it takes a path with a slash at its end, the server itself does not. */
const forms = [
  { way: 'bare node:http', form: 'bare' },
  { way: 'bare express', form: 'framework' },
  { way: 'ingest', form: 'ingest' },
  { way: 'ingest, by express', form: 'ingest', path: '/v1/events/' },
]

export async function httpFloor({ settings, progress }) {
  const nodeArgs = startFlags('ingest')
  const publisher = startLoad('publisher.mjs')
  const rows = []
  for (const { way, form, path } of forms) {
    const server = startLoad('http-server.mjs', { id: form, place: 'servers', nodeArgs })
    const { port } = await server.ask('listen', { form, key: ingestKey })
    const post = (seconds) =>
      publisher.ask('publish', { port, key: ingestKey, path, rooms: 512, rate: null, seconds, ...singlePosts })
    await post(settings.warmSeconds)
    const before = cpuOf(server.pid)
    const run = await post(settings.seconds)
    const microseconds = ((cpuOf(server.pid) - before) / run.published) * 1e6
    const messagesPerSecond = run.published / run.seconds
    progress(`${way}: ${Math.round(messagesPerSecond)} posts/s, ${microseconds.toFixed(1)} µs each`)
    rows.push({ way, messagesPerSecond, microseconds })
    await server.stop()
  }
  await publisher.stop()
  return rows
}
