// `node smoke`: tries a fleet from outside, as a user would: connect, publish, receive, resume. Prints what it did; ends with 1 when
// something is wrong. FLOTILLA_SMOKE_WS_URL and FLOTILLA_SMOKE_INGEST_URL say where; FLOTILLA_SMOKE_TOKEN or FLOTILLA_JWT_SECRET who
// connects; FLOTILLA_SMOKE_KEY or the first of FLOTILLA_INGEST_KEYS who posts.
import { randomUUID } from 'node:crypto'
import { connect } from '@flotilla/client'
import { signToken } from '@flotilla/node/jwt'

const patienceMs = 20_000
const env = process.env
const url = env.FLOTILLA_SMOKE_WS_URL ?? 'ws://127.0.0.1:8080/ws'
const ingest = env.FLOTILLA_SMOKE_INGEST_URL ?? 'http://127.0.0.1:8081'
const key = env.FLOTILLA_SMOKE_KEY ?? (env.FLOTILLA_INGEST_KEYS ?? '').split(',')[0].split(':').at(-1)
const room = `public:smoke-${randomUUID()}`

const say = (text) => process.stdout.write(`${text}\n`)
const fail = (text) => {
  process.stderr.write(`failed: ${text}\n`)
  process.exit(1)
}
setTimeout(() => fail(`not done after ${patienceMs} ms`), patienceMs).unref()

const token = () =>
  env.FLOTILLA_SMOKE_TOKEN ??
  signToken({
    secret: env.FLOTILLA_JWT_SECRET,
    sub: 'smoke',
    tenant: 'smoke',
    roles: [],
    permissions: [],
    ttlSeconds: 60,
  })

/** A client that waits for events of the room by their text. */
async function open(since) {
  const client = await connect({ url, token })
  const seen = []
  const waiting = new Map()
  const subscription = await client.subscribe(room, {
    ...(since === undefined ? {} : { since }),
    onEvent: ({ data }) => {
      seen.push(data.text)
      waiting.get(data.text)?.()
    },
  })
  const received = (text) =>
    seen.includes(text) ? Promise.resolve() : new Promise((resolve) => waiting.set(text, resolve))
  return { client, subscription, seen, received }
}

async function post(text) {
  const answer = await fetch(`${ingest}/v1/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ room, event: 'message', data: { text } }),
  })
  if (answer.status !== 202) fail(`POST /v1/events answered ${answer.status}: ${await answer.text()}`)
}

const first = await open()
say(`connected to ${url} as smoke, subscribed to ${room}`)
await first.client.publish(room, 'message', { text: 'from the client' })
await first.received('from the client')
say('published by the client, and received')
await post('from a service')
await first.received('from a service')
say(`posted to ${ingest}, and received`)
const { position } = first.subscription
first.client.close()
await post('while it was away')
const second = await open(position)
await second.received('while it was away')
if (second.subscription.recovered !== true) fail('the subscription did not recover')
if (second.seen.length !== 1) fail(`after the resume came ${JSON.stringify(second.seen)}`)
say('resumed after a disconnect: what was missed came, once')
second.client.close()
say('ok')
process.exit(0)
