import { encodeInput } from '@flotilla/core/entry'
import { maxDataBytes } from '@flotilla/core/limits'
import { maxEventChars, maxKeyChars } from '@flotilla/core/room-name'
import { slotOf } from '@flotilla/core/slot'
import { shape } from './logs.ts'

/** Deep enough for a reader that calls itself for every level. */
const levels = 5_000
const nested = `${'['.repeat(levels)}${']'.repeat(levels)}`

/** Within an entry of our form: messages that are of none of its kinds, or lack a field, have one too many, or a wrong one. */
const brokenRecords = [
  'Q\u001froom',
  'P\u001froom\u001fsender',
  'P\u001froom\u001fsender\u001fkey\u001f\u001ftail\u001fmore',
  'I\u001froom\u001f+',
  'C\u001froom\u001fconnection\u001fstolen\u001f\u001f1',
]
const broken = (record: string): string => `1\u001fedge-1#x\u001f1\u001f1\u001f\u001e${record}`

const bodies = [
  ...['', 'x', '\u0000\u0001\ufffd', '9\u001fedge-1#x.0\u001f1\u001e', nested, 'y'.repeat(300_000)],
  ...brokenRecords.map(broken),
]

/** What no version can decode: a body for each slot. */
export const undecodable = (slot: number): string => bodies[slot % bodies.length] ?? ''

/** Of a message that can be decoded, and whose content is as bad as JSON can be: what a worker and an edge pass on unchanged. */
interface Content {
  /** JSON text. */
  readonly data: string
  /** JSON text of what the publisher chose beside `match`. */
  readonly options?: string
  readonly event?: string
  readonly key?: string
}

const contents: readonly Content[] = [
  { data: nested },
  { data: `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}` },
  { data: '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}' },
  { data: '{"\\ud800":"\\udfff\\ud800","\\u0000":"\\u001e\\u001f\\u2028"}' },
  { data: '1e999', event: '__proto__' },
  { data: `"${'z'.repeat(maxDataBytes - 2)}"` },
  { data: 'null', event: 'e'.repeat(maxEventChars), key: 'k'.repeat(maxKeyChars) },
  { data: '{}', options: '"x":1,"q":[],"__proto__":{"except":["library-0"]}' },
  { data: '{}', options: `"deep":${nested}` },
  { data: '{}', options: '"except":5' },
]

/** Every hostile message has this to match, so that a filter makes an edge look into it. */
export const hostileFilter = { hostile: true }

export interface Hostile {
  readonly room: string
  readonly key: string
  readonly options: string
  readonly tail: string
}

/** The hostile message of a slot, in a room of its own. */
export function hostile(slot: number): Hostile {
  const {
    data,
    options,
    event = 'hostile',
    key = `hostile-${slot}`,
  } = contents[slot % contents.length] ?? { data: '0' }
  const match = `"match":${JSON.stringify(hostileFilter)}`
  return {
    room: roomIn(slot),
    key,
    options: `{${options === undefined ? match : `${match},${options}`}}`,
    tail: `"event":${JSON.stringify(event)},"data":${data}`,
  }
}

/** As a producer writes it who needs no answer: outside the numbering of its entries. */
export function hostileEntry(slot: number, boot: string): string {
  return encodeInput({ boot, generation: 1, k: 0 }, [{ type: 'publish', sender: 'hostile', ...hostile(slot) }])
}

function roomIn(slot: number): string {
  for (let i = 0; ; i += 1) {
    const room = `public:hostile-${i}`
    if (slotOf(room, shape.slots) === slot) return room
  }
}
