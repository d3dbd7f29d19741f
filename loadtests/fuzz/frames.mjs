// Client frames: those of the documents, with names that mean something to the fleet under test, and what is made of them.
import { readFileSync } from 'node:fs'
import { clientFrame } from '@flotilla/core/frames'
import { mutateText, mutateValue } from './mutate.mjs'
import { decide } from '@flotilla/core/policy'
import { defaultPolicy } from '@flotilla/core/policy-default'
import { parseFrame } from '@flotilla/core/session-frames'

/** Whose inputs these are. Rooms of `vault` belong to the witness: nobody else gets in. */
export const tenant = 'fuzz'
/** Whoever takes part may do all that there is to do in its own tenant. */
export const permissions = ['tenant.publish', 'all.publish']
export const users = Array.from({ length: 10 }, (_, i) => `fuzz-${i}`)
/** Rooms that the watcher is in: so few that their logs are full soon, of which each keeps a thousand events. */
export const rooms = [
  ...Array.from({ length: 12 }, (_, i) => `public:f${i}`),
  ...Array.from({ length: 6 }, (_, i) => `deal:${tenant}:${i}`),
  `tenant:${tenant}`,
  ...users.slice(0, 1).map((user) => `deal:${tenant}:${user}`),
]
/** Of the witness, and what looks like them. */
const foreignRooms = [
  ...['user:witness', 'tenant:vault', 'deal:vault:1', 'deal:vault:2', 'public:vault:1', 'user:vault:witness'],
  ...['deal:VAULT:1', 'deal:vault:1 ', 'deal:vault\u001f:1', 'tenant:vault:1', 'deal:fuzz:vault:1', 'deal:vault:none'],
  ...['user:fuzz-0:witness', 'DEAL:vault:1', 'deal:va\u0075lt:1', 'deal:ｖault:1'],
]
/** Rooms beyond those of the list that inputs may bring to life: each lives for a day, as it should. */
const maxOtherRooms = 40

const protocol = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8')
/** Every client frame that docs/protocol.md shows. */
const examples = [...protocol.matchAll(/^```json client\n([^]*?)^```$/gm)].flatMap(([, body]) =>
  body
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line)),
)
const keys = [...new Set(clientFrame.options.flatMap((option) => Object.keys(option.shape)))]
const types = clientFrame.options.map((option) => option.shape.type.value)

/** A frame as a client of today would send it. */
function goodFrame(random, id) {
  const frame = structuredClone(random.pick(examples))
  if ('id' in frame) frame.id = id
  if ('room' in frame) frame.room = anyRoom(random)
  if (Array.isArray(frame.rooms)) for (const each of frame.rooms) each.room = anyRoom(random)
  if (frame.type === 'publish') {
    frame.data = random.pick([
      { text: 'hello', n: random.int(0, 1e9) },
      random.int(0, 1e9),
      ['a', null],
      `t${id}`,
      null,
    ])
    if ('key' in frame) frame.key = `k${random.int(0, 1e9)}`
  }
  return frame
}
const anyRoom = (random) => random.pick(random.chance(0.15) ? foreignRooms : rooms)

/**
 * Makes frames of one run. `next(user)` is `{ text, kind, bad, published }`: `bad` when the edge counts it as a bad frame,
 * `published` what the watcher is to hear of it, if anything.
 */
export function createFrames(random) {
  const others = new Set()
  let count = 0

  function make() {
    count += 1
    const good = goodFrame(random, random.chance(0.5) ? count : `q${count}`)
    return random.weighted([
      [8, () => ({ kind: 'as documented', text: JSON.stringify(good) })],
      [
        50,
        () => ({ kind: 'changed in structure', text: mutateValue(random, good, [...keys, ...types, anyRoom(random)]) }),
      ],
      [
        42,
        () => ({
          kind: 'changed in text',
          text: mutateText(random, JSON.stringify(good), JSON.stringify(goodFrame(random, 1))),
        }),
      ],
    ])()
  }

  /** Rooms are bounded, so that memory that grows is a leak and not a room that somebody made. */
  function isWithin(names, identity) {
    const fresh = names.filter((name) => !rooms.includes(name) && !others.has(name) && mayJoin(identity, name))
    if (others.size + fresh.length > maxOtherRooms) return false
    for (const name of fresh) others.add(name)
    return true
  }

  return {
    next(userId) {
      for (;;) {
        const { kind, text } = make()
        // What the socket makes of unpaired surrogates.
        const sent = Buffer.from(text).toString()
        const parsed = parseFrame(sent)
        if (!parsed.ok) return { kind, text: sent, bad: true }
        const { frame } = parsed
        const named = 'rooms' in frame ? frame.rooms.map(({ room }) => room) : 'room' in frame ? [frame.room] : []
        if (!isWithin(named, { userId, tenantId: tenant })) continue
        return {
          kind,
          text: sent,
          bad: false,
          ...(frame.type === 'publish' ? { published: traceOf(frame, userId) } : {}),
        }
      }
    },
    /** Whether these rooms may be published to by a service: they are few enough. */
    admits: (names) => isWithin(names, undefined),
  }
}

/** Without an identity: a service's key, which may post anywhere. */
const mayJoin = (identity, name) =>
  identity === undefined ||
  decide(defaultPolicy, { identity: { ...identity, permissions }, room: name, action: 'join' }).allow

/** By what an event is known again: all that its publisher decides, and who that was. */
export function traceOf({ room, event, data }, userId) {
  return JSON.stringify([room, event, data ?? null, userId])
}
