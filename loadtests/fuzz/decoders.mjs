// Decoders in this process: none throws on any text, and what one accepts is read again as it was written.
import {
  decodeInput,
  decodeLog,
  decodeOut,
  encodeInput,
  encodeLog,
  encodeLogMessage,
  encodeOut,
  publishOf,
} from '@flotilla/core/entry'
import { filterKey, matches, parseFilter } from '@flotilla/core/filter'
import { serverFrame } from '@flotilla/core/frames'
import { parseJson } from '@flotilla/core/json-guard'
import { defaultPolicy } from '@flotilla/core/policy-default'
import { formatEpoch, parseEpoch } from '@flotilla/core/position'
import { parseRoomName, validEventName, validKey } from '@flotilla/core/room-name'
import { createSession, stepSession } from '@flotilla/core/session'
import { parseFrame } from '@flotilla/core/session-frames'
import { decodeWholeLog } from '@flotilla/core/whole-log'
import { checkEvent } from '@flotilla/ingest/publish'
import { createFrames, rooms } from './frames.mjs'
import { pieces, texts } from './hostile.mjs'
import { mutateText, mutateValue } from './mutate.mjs'
import { createRandom } from './random.mjs'

const clock = { now: 1, wallMs: 1_800_000_000_000, timestamp: '2027-01-15T08:00:00.000Z' }
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b)
const message = {
  type: 'publish',
  room: 'public:a',
  key: 'k',
  sender: 'u',
  options: '{"match":{"a":1}}',
  tail: '"event":"e","data":1,"meta":{}',
}
const inputs = [
  encodeInput({ boot: 'edge-1#a', generation: 1, k: 2 }, [message, { ...message, room: 'deal:acme:1' }]),
  encodeInput({ boot: 'edge-1#a', generation: 0, k: 0 }, [
    { type: 'ephemeral', room: 'public:a', options: '', tail: 't' },
    { type: 'interest', room: 'public:a', on: true, nonce: 'n' },
  ]),
  encodeInput({ boot: 'e#1', generation: 0, k: 1 }, [
    { type: 'connection', room: 'user:a', connection: 'c', change: 'open', replaces: '', limit: 5 },
  ]),
]
const outs = [
  [
    { type: 'ephemeral', room: 'public:a', event: { options: '', tail: 't' } },
    { type: 'ack', slot: 1, generation: 2, k: 3, results: [{ ok: true, epoch: '1.2', seq: 3 }] },
  ],
  [
    { type: 'interest', room: 'public:a', epoch: '1.2', head: 3, nonce: 'n' },
    { type: 'reset', slot: 1, inc: 2 },
  ],
].map((records) => records.map(encodeOut).join('\u001e'))
const log = encodeLog('public:a', { inc: 1, tag: 2, first: 3, timeMs: 4 }, [message, message].map(encodeLogMessage))

/** Whether an event to be published is one field after the other in an entry, whatever is in it, and a frame in the end. */
function travels({ type, message, room, tail }) {
  const given = type === 'publish' ? { type, ...message } : { type, room, options: '', tail }
  const read = decodeInput(encodeInput({ boot: 'e#1', generation: 0, k: 1 }, [given]))
  const back = read?.messages.map((each) => (each.type === 'publish' ? publishOf(each) : each))
  if (back?.length !== 1 || Object.entries(given).some(([key, value]) => back[0][key] !== value)) return false
  return serverFrame.safeParse(JSON.parse(`{"type":"event","room":"r:a","seq":1,${given.tail}}`)).success
}

function openSession() {
  const state = createSession('e.1', clock.now)
  stepSession(state, { type: 'token', token: 't' }, clock)
  const identity = { userId: 'fuzz-0', tenantId: 'fuzz' }
  stepSession(state, { type: 'verdict', attempt: 1, verdict: { ok: true, identity } }, clock)
  return state
}
/** Time to make a failing text smaller, ms. */
const maxLeastMs = 10_000
/** Sessions are short: one that has had a hundred bad frames does nothing any more. */
const framesPerSession = 50

const some = (random, list) => () => mutateText(random, random.pick(list), random.pick(list))

/** Each `[name, share, make(), holds(text)]`, as those below. */
function frameTargets(random) {
  const frames = createFrames(random)
  const make = () => frames.next('fuzz-0').text
  let session = { state: openSession(), left: framesPerSession }
  const settle = ({ type, request }) => {
    const outcome = { type: 'unknown', retryAfterMs: 1 }
    if (type === 'publish') stepSession(session.state, { type: 'published', request, outcome }, clock)
  }
  const isFrameRead = (text) => {
    const parsed = parseFrame(text)
    return !parsed.ok || parseFrame(JSON.stringify(parsed.frame)).ok
  }
  const isFrameTaken = (text) => {
    if ((session.left -= 1) < 0) session = { state: openSession(), left: framesPerSession }
    const effects = stepSession(session.state, { type: 'frame', text, bytes: Buffer.byteLength(text) }, clock)
    return effects.every((effect) => {
      settle(effect)
      if (effect.type === 'publish' || effect.type === 'ephemeral') return travels(effect)
      return effect.type !== 'send' || serverFrame.safeParse(effect.frame).success
    })
  }
  return [
    ['parseFrame', 3, make, isFrameRead],
    ['stepSession', 4, make, isFrameTaken],
  ]
}

function entryTargets(random) {
  const isInputRead = (text) => {
    const entry = decodeInput(text)
    if (entry === undefined) return true
    const messages = entry.messages.map((each) => (each.type === 'publish' ? publishOf(each) : each))
    return same(decodeInput(encodeInput(entry, messages)), entry)
  }
  const isLogRead = (text) => {
    const entry = decodeLog(text)
    return entry === undefined || same(decodeLog(encodeLog('r', entry, entry.messages.map(encodeLogMessage))), entry)
  }
  const isWholeLogRead = (text) => {
    try {
      return decodeWholeLog('public:a', [{ id: '4-0', body: text }]).length === 1
    } catch (error) {
      return error.code === 'UNREADABLE_LOG'
    }
  }
  return [
    ['decodeInput', 3, some(random, inputs), isInputRead],
    ['decodeOut', 3, some(random, [...outs, `${log}\u001e${outs[0]}`]), (text) => Array.isArray(decodeOut(text))],
    ['decodeLog', 3, some(random, [log]), isLogRead],
    ['decodeWholeLog', 1, some(random, [log]), isWholeLogRead],
  ]
}

const hasControl = (text) => [...text].some((each) => each < ' ' || each === '\u007f')

function nameTargets(random) {
  const makeRoom = () => mutateText(random, random.pick(rooms), random.pick([...texts, ...pieces]))
  const isRoomRead = (text) => {
    const name = parseRoomName(text)
    if (!name.ok) return true
    const parts = [name.type, ...(name.tenant === undefined ? [] : [name.tenant]), name.id]
    return text === parts.join(':') && !hasControl(text)
  }
  const isNamePlain = (text) => !(validEventName(text) || validKey(text)) || !hasControl(text)
  const isEpochRead = (text) => {
    const epoch = parseEpoch(text)
    return epoch === undefined || (Number.isSafeInteger(epoch.inc) && parseEpoch(formatEpoch(epoch)) !== undefined)
  }
  return [
    ['parseRoomName', 2, makeRoom, isRoomRead],
    ['names of events and keys', 1, some(random, [...texts, 'message', 'k-1']), isNamePlain],
    ['parseEpoch', 1, some(random, ['5.12', '5.0.480000', '1.2']), isEpochRead],
  ]
}

function bodyTargets(random) {
  const words = [...rooms.slice(0, 5), 'a', 'b.c', 'region']
  const filters = [
    { region: 'eu', 'deal.stage': ['won', 'lost'] },
    { a: null, b: [1, true] },
  ]
  const data = { region: 'eu', deal: { stage: 'won' } }
  const event = { room: 'public:a', event: 'e', data: { a: 1 }, id: 'i', filter: { a: 1 }, except: ['b'] }
  const isFilterRead = (text) => {
    const parsed = parseFilter(jsonOf(text))
    if (!parsed.ok) return true
    return typeof matches(parsed.filter, data, data) === 'boolean' && typeof filterKey(parsed.filter) === 'string'
  }
  const isEventRead = (text) => {
    const checked = checkEvent(jsonOf(text), { keyName: 'fuzz', nowMs: 0, policy: defaultPolicy })
    if (!checked.ok) return true
    const { rooms: names, id, options, tail } = checked.event
    return names.every((room) =>
      travels({ type: 'publish', message: { room, key: id, sender: 'key:fuzz', options, tail } }),
    )
  }
  return [
    ['parseFilter', 2, () => mutateValue(random, random.pick(filters), words), isFilterRead],
    ['checkEvent', 3, () => mutateValue(random, event, words), isEventRead],
  ]
}

/** As both services read it. */
function jsonOf(text) {
  const parsed = parseJson(text)
  return parsed.ok ? parsed.value : undefined
}

/** `count` texts of `seed`. Returns how many each decoder got, and `failure` with the least text found that breaks it. */
export function fuzzDecoders({ count, seed }) {
  const random = createRandom(seed + 4)
  const all = [frameTargets, entryTargets, nameTargets, bodyTargets].flatMap((targets) => targets(random))
  const counts = new Map(all.map(([name]) => [name, 0]))
  const choice = all.map((target) => [target[1], target])
  for (let i = 0; i < count; i += 1) {
    const [name, , make, holds] = random.weighted(choice)
    const text = make()
    counts.set(name, counts.get(name) + 1)
    const fault = faultIn(holds, text)
    if (fault !== undefined)
      return { rows: [...counts], failure: { fault: `${name}: ${fault}`, input: leastOf(holds, text) } }
  }
  return { rows: [...counts], failure: undefined }
}

function faultIn(holds, text) {
  try {
    return holds(text) ? undefined : 'does not hold'
  } catch (error) {
    return error.stack
  }
}

/** Pieces are left out as long as what is left fails too, and nobody waits for too long. */
function leastOf(holds, text) {
  const until = performance.now() + maxLeastMs
  let least = text
  for (let size = Math.ceil(text.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < least.length && performance.now() < until;) {
      const without = least.slice(0, at) + least.slice(at + size)
      if (faultIn(holds, without) === undefined) at += size
      else least = without
    }
  }
  return least
}
