/**
 * Room → slot → lane. All processes of a fleet, of any version, must agree on these for ever: vectors/slot.json has
 * the golden values (docs/spec.md SL).
 */

/** Slots a fleet may be installed with. */
export const maxSlots = 65_536
/** Lanes a fleet may be installed with: far above the number of primaries that one fleet can use. */
export const maxLanes = 256
/** Redis Cluster's own slots, which a key's hash tag is mapped to by CRC16. */
export const clusterSlots = 16_384

/** A lane's tag lies within this part of its range's width from the middle: uneven primaries still share well. */
const tagOffsetShare = 1 / 8
const fnvOffset = 0x811c9dc5
const fnvPrime = 0x01000193

/**
 * The slot of a room: `fmix32(fnv1a32(utf8(room))) & (slots - 1)`.
 * @throws RangeError when `slots` is not a power of two up to {@link maxSlots}.
 * @example slotOf('public:lobby', 128) // 11
 */
export function slotOf(room: string, slots: number): number {
  if (slots < 1 || slots > maxSlots || !Number.isInteger(slots) || (slots & (slots - 1)) !== 0) {
    throw new RangeError(`slots must be a power of two from 1 to ${maxSlots}, not ${slots}`)
  }
  return hash32(room) & (slots - 1)
}

/** The lane of a slot. All keys of a lane live on one primary. */
export function laneOf(slot: number, lanes: number): number {
  return slot % lanes
}

/** Unsigned 32-bit hash of a text's UTF-8 bytes. FNV-1a alone leaves its low bits weak, hence murmur3's finaliser. */
export function hash32(text: string): number {
  let hash = fnv1a32(text)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function fnv1a32(text: string): number {
  let hash = fnvOffset
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0x80) return fnv1a32Wide(text, i, hash)
    hash = Math.imul(hash ^ unit, fnvPrime)
  }
  return hash
}

/** The rest of a text that is not ASCII. An unpaired surrogate counts as U+FFFD, as every UTF-8 encoder writes it. */
function fnv1a32Wide(text: string, from: number, seed: number): number {
  let hash = seed
  const mix = (byte: number): void => {
    hash = Math.imul(hash ^ byte, fnvPrime)
  }
  for (let i = from; i < text.length; i++) {
    let point = text.codePointAt(i) ?? 0xfffd
    if (point > 0xffff) i++
    else if (point >= 0xd800 && point <= 0xdfff) point = 0xfffd
    if (point < 0x80) {
      mix(point)
      continue
    }
    if (point < 0x800) mix(0xc0 | (point >> 6))
    else {
      if (point < 0x10000) mix(0xe0 | (point >> 12))
      else {
        mix(0xf0 | (point >> 18))
        mix(0x80 | ((point >> 12) & 0x3f))
      }
      mix(0x80 | ((point >> 6) & 0x3f))
    }
    mix(0x80 | (point & 0x3f))
  }
  return hash
}

/**
 * One Redis hash tag per lane. Tag `i` falls in the middle quarter of the i-th of `lanes` equal ranges of the cluster's
 * slots, so primaries with equal ranges get equal numbers of lanes, also after there are more of them.
 * @throws RangeError when `lanes` is not a whole number from 1 to {@link maxLanes}.
 */
export function laneTags(lanes: number): readonly string[] {
  if (!Number.isInteger(lanes) || lanes < 1 || lanes > maxLanes) {
    throw new RangeError(`lanes must be a whole number from 1 to ${maxLanes}, not ${lanes}`)
  }
  return Array.from({ length: lanes }, (_, lane) => laneTag(lane, lanes))
}

/** The first of 0, 1, … z, 10, … that fits. It ends: three characters reach every range (a test visits them all). */
function laneTag(lane: number, lanes: number): string {
  const width = clusterSlots / lanes
  const middle = (lane + 0.5) * width
  for (let n = 0; ; n++) {
    const tag = n.toString(36)
    if (Math.abs((crc16(tag) % clusterSlots) - middle) <= width * tagOffsetShare) return tag
  }
}

/** CRC16 as Redis Cluster computes it (XMODEM: polynomial 0x1021, start 0), of an ASCII text. */
export function crc16(text: string): number {
  let crc = 0
  for (let i = 0; i < text.length; i++) {
    crc ^= text.charCodeAt(i) << 8
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : crc << 1
  }
  return crc
}
