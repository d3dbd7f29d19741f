import { positionOf } from '@flotilla/core/cursor'
import type { Continuity, Filter, RoomRecord } from './subscription.ts'
import type { Refusal, RoomAnswer } from './wire.ts'

/** Rooms and bytes of one `resume` frame; the server takes 1,000 rooms and 1 MiB. */
const maxResumeRooms = 1_000
const maxResumeBytes = 524_288

export const askOf = (record: RoomRecord): Record<string, unknown> => ({
  room: record.room,
  since: positionOf(record.cursor),
  filter: record.filter,
  presence: record.attendance === null ? undefined : true,
  token: record.pass?.token,
})

/** As many rooms as one `resume` frame may have. */
export function batches(records: Iterable<RoomRecord>): RoomRecord[][] {
  const all: RoomRecord[][] = []
  let batch: RoomRecord[] = []
  let bytes = 0
  for (const record of records) {
    const size = JSON.stringify(askOf(record)).length
    if (batch.length >= maxResumeRooms || (batch.length > 0 && bytes + size > maxResumeBytes)) {
      all.push(batch)
      batch = []
      bytes = 0
    }
    batch.push(record)
    bytes += size
  }
  return batch.length > 0 ? [...all, batch] : all
}

/** It is being asked for, or will be: its subscription of now is not the one that counts. */
export function isPending(record: RoomRecord): boolean {
  return record.asking !== undefined || record.stopRetry !== undefined
}

export function continuityOf(answer: Omit<RoomAnswer, 'position'>, position: Continuity['position']): Continuity {
  const { recovered = true, missed = 0, reason } = answer
  return { position, recovered, missed, ...(reason === undefined ? {} : { reason }) }
}

export function sameFilter(a: Filter | undefined, b: Filter | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

export const lacksToken = ({ pass }: RoomRecord): boolean => pass !== undefined && pass.token === undefined
/** Asked for again later. */
export const noToken: Refusal = { code: 'OVERLOADED', message: 'the token function failed' }
