import type { OutRecord } from '../src/entry.ts'

/** Not what the edge as a whole is told, nor what nobody in the simulator asks for. */
export function isOfFeed(
  record: OutRecord,
): record is Exclude<OutRecord, { type: 'boot' | 'lock' | 'rate' | 'answer' }> {
  return record.type !== 'boot' && record.type !== 'lock' && record.type !== 'rate' && record.type !== 'answer'
}
