import { FlotillaError } from '@flotilla/client'
import type { Client, Position } from '@flotilla/client'
import { wait } from '@flotilla/node/backoff'
import type { Random } from '../../../packages/core/sim/random.ts'
import { ingestKey } from '../../fleet/fleet.ts'
import type { Recorder } from '../recorder.ts'

export interface Message {
  readonly id: string
  readonly room: string
}
export interface PublisherDeps {
  readonly recorder: Recorder
  readonly random: Random
  /** What every message carries besides its name. */
  readonly padding: string
}

/** A publish is tried for so long before its outcome is taken as it is, ms: most are patient, some are not. */
const patienceMs = 12_000
const impatienceMs = 1_500
const impatient = 0.25
/** How often a publish without a good outcome is published again under its key. */
const maxRepeats = 3
/** Of those without a good outcome this share is left as it is: unknown stays unknown, refused stays refused. */
const givenUp = 0.3
const repeatAfterMs = 300
const patience = (random: Random): number => (random.chance(impatient) ? impatienceMs : patienceMs)

/** What says for certain that nothing was published; everything else may have happened. */
const certain = new Set(['OVERLOADED', 'RATE_LIMITED', 'QUEUE_FULL', 'TIMEOUT', 'CLOSED'])

/** Publishes through the library. What it says last is the outcome. */
export async function publishAs(
  { client, name }: { readonly client: Client; readonly name: string },
  { id, room }: Message,
  deps: PublisherDeps,
): Promise<void> {
  const { recorder, random } = deps
  recorder.note({ type: 'invoke', by: name, room, id })
  for (let repeat = 0; ; repeat += 1) {
    try {
      const options = { key: id, timeoutMs: patience(random) }
      const { position } = await client.publish(room, 'faults', { id, padding: deps.padding }, options)
      return recorder.note({ type: 'ok', room, id, ...position })
    } catch (error) {
      const code = codeOf(error)
      recorder.note({ type: certain.has(code) ? 'refused' : 'unknown', room, id, code })
      if (repeat === maxRepeats || random.chance(givenUp)) return
    }
    await wait(repeatAfterMs)
  }
}

const codeOf = (error: unknown): string => (error instanceof FlotillaError ? error.code : String(error))

/** Publishes what was acknowledged once more. A refusal says nothing about the message, which is published. */
export async function publishAgain(
  client: Client,
  { id, room, by }: Message & { readonly by: string },
  { recorder, padding }: PublisherDeps,
): Promise<void> {
  recorder.note({ type: 'again', by, room, id })
  try {
    const options = { key: id, timeoutMs: patienceMs }
    const { position } = await client.publish(room, 'faults', { id, padding }, options)
    recorder.note({ type: 'ok', room, id, ...position })
  } catch (error) {
    recorder.note({ type: 'unknown', room, id, code: codeOf(error) })
  }
}

interface ItemAnswer {
  readonly status: number
  readonly code?: string
  readonly results?: readonly { readonly position?: Position }[]
}

/** Posts a batch through ingest, and again those that had no good outcome. */
export async function postBatch(port: number, batch: readonly Message[], deps: PublisherDeps): Promise<void> {
  const { recorder, random } = deps
  for (const { id, room } of batch) recorder.note({ type: 'invoke', by: 'ingest', room, id })
  let left = batch
  for (let repeat = 0; left.length > 0; repeat += 1) {
    const answers = await post(port, left, { ...deps, timeoutMs: patience(random) })
    left = left.filter((message, i) => {
      const good = noteAnswer(message, answers?.[i], recorder)
      return !good && repeat < maxRepeats && !random.chance(givenUp)
    })
    if (left.length > 0) await wait(repeatAfterMs)
  }
}

/** The same through ingest. */
export async function postAgain(port: number, batch: readonly Message[], deps: PublisherDeps): Promise<void> {
  const { recorder } = deps
  for (const { id, room } of batch) recorder.note({ type: 'again', by: 'ingest', room, id })
  const answers = await post(port, batch, { ...deps, timeoutMs: patienceMs })
  for (const [i, { id, room }] of batch.entries()) {
    const position = positionOf(answers?.[i])
    if (position === undefined) recorder.note({ type: 'unknown', room, id, code: answers?.[i]?.code ?? 'no answer' })
    else recorder.note({ type: 'ok', room, id, ...position })
  }
}

const positionOf = (answer: ItemAnswer | undefined): Position | undefined =>
  answer?.status === 202 ? answer.results?.[0]?.position : undefined

/** Whether it is published. */
function noteAnswer({ id, room }: Message, answer: ItemAnswer | undefined, recorder: Recorder): boolean {
  const position = positionOf(answer)
  if (position !== undefined) {
    recorder.note({ type: 'ok', room, id, ...position })
    return true
  }
  const code = answer?.code ?? 'no answer'
  recorder.note({ type: certain.has(code) ? 'refused' : 'unknown', room, id, code })
  return false
}

/** Undefined when there was no answer, or none that says anything about the items. */
async function post(
  port: number,
  batch: readonly Message[],
  { padding, timeoutMs }: PublisherDeps & { readonly timeoutMs: number },
): Promise<readonly ItemAnswer[] | undefined> {
  const events = batch.map(({ id, room }) => ({ room, event: 'faults', data: { id, padding }, id }))
  try {
    const response = await fetch(`http://127.0.0.1:${port}/v1/events/batch`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ingestKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ events }),
      signal: AbortSignal.timeout(timeoutMs),
    })
    const body = (await response.json()) as { results?: readonly ItemAnswer[] }
    return response.status === 200 ? body.results : undefined
  } catch {
    return undefined
  }
}
