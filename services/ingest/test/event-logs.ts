import type { SlotValue } from '@flotilla/core/commit'
import { encodeLog, encodeLogMessage } from '@flotilla/core/entry'
import { eventLogs, outgoingTail } from '@flotilla/core/outgoing'
import { claimed, following } from '@flotilla/node/store/contract-kit'
import type { Store } from '@flotilla/node/store/port'

interface At {
  readonly timeMs?: number
  /** The incarnation and life that it is written in; 1 and 1 by default. */
  readonly inc?: number
  readonly tag?: number
  /** What is told to be kept. */
  readonly keepFromSeq?: number
}

/** Writes outgoing events as a worker does, one commit each time. */
export function writeEvents(store: Store) {
  const { slots, lanes } = store.shape
  const names = eventLogs(slots)
  const values = new Map<number, SlotValue>()
  const heads = new Map<number, number>()
  let last: Promise<void> = Promise.resolve()

  async function commit(slot: number, rooms: readonly string[], at: At): Promise<void> {
    const { timeMs = Date.now(), inc = 1, tag = 1, keepFromSeq = 0 } = at
    const value = values.get(slot) ?? (await claimed(store, slot, 1))
    const first = (heads.get(slot) ?? 0) + 1
    const lastSeq = first + rooms.length - 1
    const messages = rooms.map((room) => {
      const tail = outgoingTail('room.occupied', JSON.stringify({ room }))
      return encodeLogMessage({ sender: '', key: '', options: '', tail })
    })
    const name = names[slot] ?? ''
    const body = encodeLog(name, { inc, tag, first, timeMs }, messages)
    const next = following(slot, value, { logs: [{ room: name, lastSeq, body, keepFromSeq }] })
    const { statuses } = await store.slots.commit(slot % lanes, [next.commit])
    if (statuses[0] !== 'ok') throw new Error(`the commit was answered ${statuses[0]}`)
    values.set(slot, next.value)
    heads.set(slot, lastSeq)
  }
  return {
    names,
    /** `room.occupied` of each of the rooms, in the log of the slot. */
    write: (slot: number, rooms: readonly string[], at: At = {}): Promise<void> => {
      last = last.catch(() => undefined).then(() => commit(slot, rooms, at))
      return last
    },
    /** The log is gone: the next one begins with 1. */
    forget: (slot: number): void => void heads.delete(slot),
  }
}

/** The room that an event is about. */
export const roomOf = (event: { readonly data: Readonly<Record<string, unknown>> }): unknown => event.data['room']
