import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { clusterSlots, crc16, hash32, laneOf, laneTags, maxLanes, maxSlots, slotOf } from './slot.ts'

/** Computed by another implementation, in another language. */
const golden: readonly (readonly [room: string, hash: number, slot128: number, slot1024: number])[] = [
  ['public:lobby', 3649250443, 11, 139],
  ['user:42', 599759890, 18, 18],
  ['user:43', 97152790, 22, 790],
  ['tenant:7', 2801303332, 36, 804],
  ['conversation:9', 4278031603, 115, 243],
  ['deal:acme:1001', 2619221800, 40, 808],
  ['workspace:acme:board-7', 3476079669, 53, 53],
  ['chat:room-000000001', 587968535, 23, 23],
  ['chat:room-000000002', 1490309695, 63, 575],
  ['public:a', 1789965276, 92, 988],
  ['public:café', 417128888, 56, 440],
  ['public:привет', 1061507016, 72, 968],
  ['public:日本語', 4055428759, 23, 663],
  ['public:🚢', 2870233219, 3, 131],
  ['public:e\u0301', 298067566, 110, 622],
  ['doc:t-1:Über/🚀 notes', 3851995259, 123, 123],
  ['a:\u07ff', 2447604126, 30, 414],
  ['a:\u0800', 3282590298, 90, 602],
  ['a:\uffff', 2786643765, 53, 821],
  [`a:${'x'.repeat(198)}`, 1002682363, 123, 1019],
]
const goldenTags = {
  '4': ['3', '2', '1', '0'],
  '16': ['18', '3', '1a', 'j', '19', '2', '64', 'k', '6n', '1', '1c', 'h', '6o', '0', '1b', 'i'],
}

describe('slotOf', () => {
  test.each(golden)('[SL1] %s has its golden slot', (room, hash, slot128, slot1024) => {
    expect([hash32(room), slotOf(room, 128), slotOf(room, 1024)]).toEqual([hash, slot128, slot1024])
  })

  test('[SL1] the published vectors are the ones tested here', () => {
    const published: unknown = JSON.parse(readFileSync(new URL('../vectors/slot.json', import.meta.url), 'utf8'))
    expect(published).toEqual({
      algorithm: 'fmix32(fnv1a32(utf8(room))) & (slots - 1)',
      slots: golden.map(([room, hash, slot128, slot1024]) => ({ room, hash, slot128, slot1024 })),
      laneTags: goldenTags,
    })
  })

  test('[SL1] hashes the bytes that an UTF-8 encoder writes, unpaired surrogates too', () => {
    const encoder = new TextEncoder()
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.array(fc.integer({ min: 0, max: 0xffff }))), (drawn) => {
        const text = typeof drawn === 'string' ? drawn : String.fromCharCode(...drawn)
        expect(hash32(text)).toBe(hashBytes(encoder.encode(text)))
      }),
      { numRuns: 2_000 },
    )
  })

  test.each([1, 2, 128, maxSlots])('[SL2] every slot is below %i', (slots) => {
    fc.assert(
      fc.property(fc.string(), (room) => {
        const slot = slotOf(room, slots)
        expect(slot >= 0 && slot < slots && Number.isInteger(slot)).toBe(true)
      }),
    )
  })

  test.each([0, -2, 3, 100, 1.5, Number.NaN, Infinity, maxSlots * 2])('[SL2] %d slots are refused', (slots) => {
    expect(() => slotOf('public:a', slots)).toThrow(RangeError)
  })

  test('[SL3] numbered rooms spread evenly: no slot of 128 is 1.35 times the mean of 200,000', () => {
    const counts = new Array<number>(128).fill(0)
    for (let i = 0; i < 200_000; i++) {
      const slot = slotOf(`conversation:${i}`, 128)
      counts[slot] = (counts[slot] ?? 0) + 1
    }
    expect(Math.max(...counts)).toBeLessThan((200_000 / 128) * 1.35)
    expect(Math.min(...counts)).toBeGreaterThan(200_000 / 128 / 1.35)
  })
})

describe('lanes', () => {
  test('[SL4] slots are dealt to the lanes in turn', () => {
    expect([0, 1, 3, 4, 127].map((slot) => laneOf(slot, 4))).toEqual([0, 1, 3, 0, 3])
  })

  test('[SL5] crc16 is Redis Cluster’s', () => {
    expect(crc16('123456789')).toBe(0x31c3)
    // CLUSTER KEYSLOT foo
    expect(crc16('foo') % clusterSlots).toBe(12182)
  })

  test.each(Object.entries(goldenTags))('[SL5] the tags of %s lanes are the golden ones', (lanes, tags) => {
    expect(laneTags(Number(lanes))).toEqual(tags)
  })

  test('[SL5] for every number of lanes each tag lies near the middle of its own range, and is short', () => {
    for (let lanes = 1; lanes <= maxLanes; lanes++) {
      const tags = laneTags(lanes)
      expect(tags).toHaveLength(lanes)
      for (const [lane, tag] of tags.entries()) {
        const place = ((crc16(tag) % clusterSlots) / clusterSlots) * lanes - lane
        expect(Math.abs(place - 0.5), `tag ${tag} of lane ${lane} of ${lanes}`).toBeLessThanOrEqual(0.125)
        expect(tag.length).toBeLessThanOrEqual(3)
      }
    }
  })

  test('[SL5] primaries with equal ranges get equal numbers of lanes, or nearly so when they cannot', () => {
    for (const lanes of [4, 16, 64]) {
      for (let primaries = 1; primaries <= lanes; primaries++) {
        const counts = new Array<number>(primaries).fill(0)
        for (const tag of laneTags(lanes)) {
          const primary = Math.floor(((crc16(tag) % clusterSlots) * primaries) / clusterSlots)
          counts[primary] = (counts[primary] ?? 0) + 1
        }
        const most = lanes % primaries === 0 ? 0 : 2
        expect(Math.max(...counts) - Math.min(...counts), `${lanes} on ${primaries}`).toBeLessThanOrEqual(most)
      }
    }
  })

  test.each([0, -1, 1.5, maxLanes + 1, Number.NaN])('[SL5] %d lanes are refused', (lanes) => {
    expect(() => laneTags(lanes)).toThrow(RangeError)
  })
})

/** As in the definitions of FNV-1a and murmur3, in exact integers. */
function hashBytes(bytes: Uint8Array): number {
  const mask = 0xffffffffn
  let hash = 0x811c9dc5n
  for (const byte of bytes) hash = ((hash ^ BigInt(byte)) * 0x01000193n) & mask
  hash = ((hash ^ (hash >> 16n)) * 0x85ebca6bn) & mask
  hash = ((hash ^ (hash >> 13n)) * 0xc2b2ae35n) & mask
  return Number(hash ^ (hash >> 16n))
}
