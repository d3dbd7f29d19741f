// One run: so many inputs over many connections, with somebody who looks on.
import { sleep } from '../harness/processes.mjs'
import { createBatches } from './batches.mjs'
import { shrunk } from './failure.mjs'
import { createFrames } from './frames.mjs'
import { createPosts } from './posts.mjs'
import { createRandom } from './random.mjs'
import { openStage } from './stage.mjs'
import { createTally } from './trial.mjs'

/** Connections to the edge, and to ingest, at a time. */
const sockets = 8
const posters = 12
/** Steadily: what is kept for two minutes would grow with what comes in them. A machine of two cores can do more. */
const perSecond = { batch: 2_800, request: 700 }
/** After so many inputs all is looked at. */
const checkEvery = 10_000
/** What was sent last, to be tried again when nobody knows which of it did the harm. */
const maxRecent = 60
/** A process that ends is heard of so much later than its sockets are gone, at the most, ms. */
const tellMs = 500

/** `count` inputs of `seed`. Resolves with what was sent, what came back, memory, and `failure`, undefined when all held. */
export async function runFuzz({ count, seed, preload, attempts, progress }) {
  const startedAt = performance.now()
  const random = createRandom(seed)
  const stage = await openStage({ preload, random })
  const run = {
    inputs: 0,
    frames: 0,
    requests: 0,
    nextCheck: checkEvery,
    samples: [],
    recent: [],
    failure: undefined,
    sent: createTally(),
  }

  async function check() {
    const fault = await stage.faultNow()
    if (fault !== undefined) run.failure ??= { fault, items: [...run.recent] }
    const memory = await stage.memory()
    run.samples.push({ seconds: (performance.now() - startedAt) / 1_000, inputs: run.inputs, ...memory })
    progress(`${run.inputs} inputs, ${Math.round(memory.rss / 1_048_576)} MB`)
  }
  const next = makers(seed)
  const loop = async (kind) => {
    const poster = kind === 'request' ? stage.poster() : undefined
    while (run.inputs < count && run.failure === undefined) {
      const done = kind === 'batch' ? run.frames : run.requests
      const earlyMs = (done / perSecond[kind]) * 1_000 - (performance.now() - startedAt)
      if (earlyMs > 0) await sleep(earlyMs)
      const item = next[kind]()
      await take(run, item, () => stage.send(item, poster), stage.fleet)
      if (run.inputs < run.nextCheck) continue
      run.nextCheck += checkEvery
      await check()
    }
    poster?.close()
  }

  try {
    await check()
    await Promise.all([...Array(sockets).fill('batch'), ...Array(posters).fill('request')].map(loop))
    await check()
    const { inputs, frames, requests, samples, sent } = run
    const seconds = (performance.now() - startedAt) / 1_000
    const failure =
      run.failure === undefined ? undefined : await shrunk(run.failure, { random, preload, attempts, progress })
    return {
      ...{ inputs, frames, requests, seconds, samples, failure, sent: sent.rows(), back: stage.back.rows() },
      ...{ heard: stage.heard(), logged: stage.fleet.logged },
    }
  } finally {
    await stage.close()
  }
}

/** The same inputs for the same seed, in whichever order the answers come. */
function makers(seed) {
  const [frames, batches, posts] = [1, 2, 3].map((part) => createRandom(seed + part))
  const admits = createFrames(posts).admits
  return { batch: createBatches(batches, createFrames(frames)).next, request: createPosts(posts, admits).next }
}

/** Sends one item, counts it, and keeps what went wrong. */
async function take(run, item, send, fleet) {
  const { inputs } = item
  if (inputs === undefined) run.sent.add(item.kind)
  else run.sent.add(`connection: ${item.kind}`)
  for (const { kind } of inputs ?? []) run.sent.add(`frame ${kind}`)
  run.recent.push(item)
  if (run.recent.length > maxRecent) run.recent.shift()
  const fault = await send()
  // A handshake that is no good is an input itself.
  const added = inputs === undefined ? 1 : Math.max(1, inputs.length)
  run.inputs += added
  if (inputs === undefined) run.requests += added
  else run.frames += added
  if (fault === undefined || run.failure !== undefined) return
  // When all of the fleet is at fault, what did it is among what was sent last, and need not be this.
  const items = [...run.recent]
  await sleep(tellMs)
  const [complaint] = fleet.complaints()
  run.failure ??= complaint === undefined ? { fault, items: [item] } : { fault: complaint, items }
}
