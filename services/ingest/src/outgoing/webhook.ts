import { createBackoff, wait } from '@flotilla/node/backoff'
import type { Log } from '@flotilla/node/log'
import type { PlaceStore } from '@flotilla/node/store/port'
import { decodeCursor, encodeCursor } from './cursor.ts'
import type { Place, Places } from './cursor.ts'
import type { WebhookMetrics } from './metrics.ts'
import type { Page, TextEvent } from './page.ts'
import { post } from './post.ts'
import type { Posted } from './post.ts'
import type { OutgoingReader } from './reader.ts'
import { secretsOf } from './webhook-file.ts'
import type { Webhook } from './webhook-file.ts'
import { keepState, putAside, readState, startAt } from './webhook-place.ts'
import type { KeptState } from './webhook-place.ts'

/** Delays between requests that fail, ms: at the least so long, then up to so much more, and up to that in all. */
const retryLeastMs = 1_000
const retryMaxMs = 300_000
/** How long a request waits for others to go with the first event, and how long a look for one takes, ms. */
const gatherMs = 100
const lookMs = 2_000
/** How often a process that stands by, or waits to try again, looks whether that is still so, ms. */
const standbyMs = 200
const waitLookMs = 1_000
/** Delays while the store does not answer, ms. */
const storeBaseMs = 250
const storeMaxMs = 5_000
/** How long a request under way may take once the process drains, ms. */
const drainMs = 5_000
/** Of an event that is larger, UTF-16 units, only its head is put aside. */
const maxAsideChars = 16_384

export interface WebhookDeps {
  readonly webhook: Webhook
  readonly reader: OutgoingReader
  readonly slots: number
  readonly places: PlaceStore
  readonly log: Log
  readonly metrics: WebhookMetrics
  /** Whether this process is the one that sends to it. */
  isMine(): boolean
  /** The delays between requests that fail; 1 s to 5 min when they are left out. */
  readonly retryMs?: { readonly least: number; readonly max: number }
}
export interface WebhookRun {
  /** Sends nothing more; a request under way has 5 s to be answered. */
  close(): Promise<void>
}

/**
 * Sends events to a webhook, in the order of their logs: the next ones when these were taken. What it knows is in the store, and is read
 * again before every request: whoever is to send next goes on there, and who changes it is heard.
 */
export function runWebhook(deps: WebhookDeps): WebhookRun {
  const closing = new AbortController()
  const abandon = new AbortController()
  const ended = send(deps, { closing: closing.signal, abandon: abandon.signal })
  return {
    close: async () => {
      closing.abort()
      const late = setTimeout(() => abandon.abort(), drainMs)
      await ended
      clearTimeout(late)
    },
  }
}

interface Signals {
  /** Nothing more is to be sent. */
  readonly closing: AbortSignal
  /** What is under way is to be given up. */
  readonly abandon: AbortSignal
}

async function send(deps: WebhookDeps, signals: Signals): Promise<void> {
  const { webhook, log, metrics, isMine, retryMs = { least: retryLeastMs, max: retryMaxMs } } = deps
  const { closing } = signals
  const { least, max } = retryMs
  const retry = createBackoff({ baseMs: least, maxMs: max - least, random: Math.random })
  const away = createBackoff({ baseMs: storeBaseMs, maxMs: storeMaxMs, random: Math.random })
  const label = { webhook: webhook.name }
  let isAway = false
  while (!closing.aborted) {
    const mine = isMine()
    metrics.active.set(label, mine ? 1 : 0)
    if (!mine) {
      metrics.lag.set(label, 0)
      await wait(standbyMs, closing).catch(() => undefined)
      continue
    }
    try {
      const failed = await sendNext(deps, signals)
      if (isAway) log.info('outgoing events can be read again')
      isAway = false
      away.reset()
      if (failed === undefined) retry.reset()
      else
        await rest(deps, closing, { ms: Math.max(least + retry.next(), failed.retryAfterMs), version: failed.version })
    } catch (error) {
      if (!isAway) log.warn('outgoing events cannot be read, or not be kept track of', { err: error })
      isAway = true
      await wait(storeBaseMs + away.next(), closing).catch(() => undefined)
    }
  }
  metrics.active.set(label, 0)
}

/** Waits, unless the turn is another's by then, or somebody wants it to send from elsewhere. */
async function rest(
  { webhook, places, isMine }: WebhookDeps,
  closing: AbortSignal,
  { ms, version }: { readonly ms: number; readonly version: number },
): Promise<void> {
  const until = performance.now() + ms
  for (let left = ms; left > 0 && isMine() && !closing.aborted; left = until - performance.now()) {
    await wait(Math.min(waitLookMs, left), closing).catch(() => undefined)
    if ((await readState(places, webhook.name))?.version !== version) return
  }
}

interface Failed {
  readonly retryAfterMs: number
  readonly version: number
}

/** One request, if there is anything to send; undefined unless it failed. */
async function sendNext(deps: WebhookDeps, signals: Signals): Promise<Failed | undefined> {
  const { webhook, reader, slots, places, metrics } = deps
  const kept = (await readState(places, webhook.name)) ?? (await begin(deps))
  const at = decodeCursor(kept.state.cursor, slots)
  if (at === undefined) throw new Error('the kept cursor is not one of this fleet')
  const page = await reader.read({
    ...{ places: at, limit: webhook.batch, waitMs: lookMs, gatherMs, signal: signals.closing },
    shows: (event) => isFor(webhook, event),
  })
  if (signals.closing.aborted || !deps.isMine()) return undefined
  if (page.gaps.length > 0) {
    await tellGaps(deps, page)
    return advance(deps, kept, { places: page.afterGaps, delivered: 0 })
  }
  const old = givenUp(deps, kept, page)
  if (old.length > 0) {
    await putEventsAside(deps, kept, old)
    return advance(deps, kept, { places: after(at, old), delivered: 0 })
  }
  const { events } = page
  const [oldest] = events
  const ageMs = oldest === undefined ? 0 : Math.max(0, Date.now() - oldest.timeMs)
  metrics.lag.set({ webhook: webhook.name }, ageMs / 1_000)
  if (oldest === undefined) return advance(deps, kept, { places: page.places, delivered: 0 })
  const posted = await postEvents(deps, events, signals.abandon)
  if (posted.outcome !== 'delivered') return fail(deps, kept, posted)
  metrics.delivered.inc({ webhook: webhook.name }, events.length)
  metrics.lag.set({ webhook: webhook.name }, 0)
  return advance(deps, kept, { places: page.places, delivered: events.length })
}

/** The places after the first events of a page, in their order. */
function after(places: Places, events: readonly TextEvent[]): Places {
  return new Map([...places, ...events.map(({ slot, place }): [number, Place] => [slot, place])])
}

function isFor({ events, types }: Webhook, { event, roomType }: TextEvent): boolean {
  if (events !== undefined && !events.some((each) => each === event)) return false
  return types === undefined || roomType === undefined || types.includes(roomType)
}

/** A webhook that is new is told of what happens from now on. */
async function begin({ webhook, reader, slots, places }: WebhookDeps): Promise<KeptState> {
  const state = startAt(encodeCursor(await reader.ends(), slots))
  if (await keepState(places, webhook.name, { version: 0, state })) return { version: 1, state }
  const other = await readState(places, webhook.name)
  if (other === null) throw new Error('the place of the webhook was removed')
  return other
}

async function postEvents(
  { webhook, metrics }: WebhookDeps,
  events: readonly TextEvent[],
  signal: AbortSignal,
): Promise<Posted> {
  const { name, url, timeoutMs } = webhook
  const body = `{"webhook":"${name}","events":[${events.map(({ text }) => text).join(',')}]}`
  const startedAt = performance.now()
  const posted = await post({ url, body, secrets: secretsOf(webhook), timeoutMs, signal })
  metrics.seconds.observe({ webhook: name }, (performance.now() - startedAt) / 1_000)
  metrics.requests.inc({ webhook: name, outcome: posted.outcome })
  return posted
}

/** False is of no concern: whoever changed the place is heard with the next request. */
async function advance(
  { webhook, places, slots, log }: WebhookDeps,
  { version, state }: KeptState,
  { places: to, delivered }: { readonly places: Places; readonly delivered: number },
): Promise<undefined> {
  const cursor = encodeCursor(to, slots)
  if (cursor === state.cursor) return undefined
  if (delivered > 0 && state.failures > 0) log.info('the webhook takes events again', { failures: state.failures })
  const good = { failures: 0, failingSinceMs: null, deliveredAtMs: Date.now(), delivered: state.delivered + delivered }
  const next = { ...state, cursor, ...(delivered > 0 ? good : {}) }
  await keepState(places, webhook.name, { version, state: next })
  return undefined
}

async function fail({ webhook, places, log }: WebhookDeps, kept: KeptState, posted: Posted): Promise<Failed> {
  const { outcome, detail, retryAfterMs } = posted
  const { version, state } = kept
  if (state.failures === 0) log.warn('the webhook does not take events', { outcome, detail })
  const failingSinceMs = state.failingSinceMs ?? Date.now()
  const lastError = `${outcome}: ${detail}`
  const next = { ...state, failures: state.failures + 1, failingSinceMs, lastError }
  await keepState(places, webhook.name, { version, state: next })
  return { retryAfterMs, version: version + 1 }
}

async function tellGaps({ webhook, places, log, metrics }: WebhookDeps, { gaps }: Page): Promise<void> {
  for (const gap of gaps) {
    log.error('events for the webhook are gone', { ...gap })
    await putAside(places, webhook.name, { reason: gap.reason, at: new Date().toISOString(), gap })
    metrics.aside.inc({ webhook: webhook.name, reason: gap.reason })
  }
}

/** The first events of the page that have been tried, or waited behind others that were, for as long as they may. */
function givenUp({ webhook }: WebhookDeps, { state }: KeptState, { events }: Page): readonly TextEvent[] {
  const bound = Date.now() - webhook.giveUpAfterMs
  if (state.failingSinceMs === null || state.failingSinceMs > bound) return []
  const end = events.findIndex(({ timeMs }) => timeMs > bound)
  return end < 0 ? events : events.slice(0, end)
}

async function putEventsAside(
  { webhook, places, log, metrics }: WebhookDeps,
  { state: { lastError } }: KeptState,
  events: readonly TextEvent[],
): Promise<void> {
  const at = new Date().toISOString()
  for (const { text } of events)
    await putAside(places, webhook.name, { reason: 'not_taken', at, lastError, event: shortened(text) })
  log.error('events were not taken by the webhook in time and are put aside', { events: events.length, lastError })
  metrics.aside.inc({ webhook: webhook.name, reason: 'not_taken' }, events.length)
}

function shortened(text: string): unknown {
  const event = JSON.parse(text) as { readonly id: string; readonly time: string; readonly event: string }
  return text.length <= maxAsideChars ? event : { id: event.id, time: event.time, event: event.event, tooLarge: true }
}
