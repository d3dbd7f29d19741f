// An agent at work: `node examples/agent.mjs`. What it says goes to examples/agent.html piece by piece, each step and its end for good.
import { connect } from '@flotilla/client'
import { DEVELOPMENT_SECRET, signToken } from '@flotilla/node/jwt'
import WebSocket from 'ws'

const room = 'agent:acme:writer'
const url = `ws://127.0.0.1:${process.env.FLOTILLA_EDGE_PORT ?? 8080}/ws`
const task = process.argv[2] ?? 'Why were orders slow on Tuesday?'
/** Words per second that it says. */
const wordsPerSecond = Number(process.env.AGENT_WORDS_PER_SECOND ?? 18)

/** What a model and its tools would give. */
const work = [
  [
    'think',
    'Slow orders may come from the shop, from the payment service or from the database. I begin with what the traces say about Tuesday.',
  ],
  [
    'tool',
    'traces.search({ service: "checkout", day: "Tuesday", over: "2s" })\n→ 1,284 spans, 97 % of them wait for payments.authorise',
  ],
  ['think', 'Nearly all of it is the payment service. I look whether it was slow itself, or waited for somebody else.'],
  ['tool', 'metrics.query("rate(payments_retries_total[5m])")\n→ 0.2/s until 14:05, 31/s from 14:05 to 15:20'],
  ['tool', 'deployments.list({ service: "payments", around: "Tuesday 14:05" })\n→ 14:03 version 8.1.0: "retry on 429"'],
  [
    'result',
    'From 14:05 to 15:20 payments 8.1.0 repeated refused requests at once instead of after the time that the bank gives, and was refused again. It was rolled back at 15:20. I suggest to wait for Retry-After, and an alert on retries above 5 a second.',
  ],
]

const token = signToken({ secret: DEVELOPMENT_SECRET, sub: 'writer', tenant: 'acme', ttlSeconds: 3_600 })
const client = await connect({ url, token, WebSocket })
const run = crypto.randomUUID()
const beganAt = performance.now()

await client.publish(room, 'run.started', { run, task })
console.log(task)
for (const [kind, text] of work) {
  for (const piece of text.match(/\S+\s*/g)) {
    // To be read now or not at all: nobody waits for an answer, and nothing of it is kept.
    void client.publish(room, 'piece', { run, kind, text: piece }, { ephemeral: true })
    await new Promise((resolve) => setTimeout(resolve, 1_000 / wordsPerSecond))
  }
  const { position } = await client.publish(room, 'step', { run, kind, text })
  console.log(`${String(position.seq).padStart(4)} ${kind}: ${text.split('\n')[0]}`)
}
const seconds = Math.round((performance.now() - beganAt) / 1_000)
await client.publish(room, 'run.finished', { run, seconds })
client.close()
