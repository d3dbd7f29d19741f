import { afterAll, expect, it } from 'vitest'
import type { OutRecord } from '@flotilla/core/entry'
import { createAcks } from './endpoint-acks.ts'
import type { Acks } from './endpoint-acks.ts'
import { createLog } from './log.ts'
import { createScope } from './scope.ts'
import { createMemoryStore } from './store/memory.ts'
import { StoreError } from './store/port.ts'

const log = createLog({ service: 'test', level: 'silent' })
const scope = createScope(log)
afterAll(() => scope.close())

const ack = (k: number): OutRecord => ({ type: 'ack', slot: 1, generation: 0, k, results: [] })

/** Answers of the replicas, one per question, in order; the last one for ever. */
function acksOver(...answers: (string | Error)[]) {
  const store = createMemoryStore({ slots: 8, lanes: 1 })
  const said: string[] = []
  let asked = 0
  const confirm = async (): Promise<string> => {
    asked += 1
    const answer = answers[Math.min(asked, answers.length) - 1] ?? ''
    if (answer instanceof Error) throw answer
    return answer
  }
  const acks: Acks = createAcks(0, {
    ...{ log, scope },
    store: { ...store, ackReplicas: 1, outboxes: { ...store.outboxes, confirm } },
    confirmed: (ms) => said.push(ms === undefined ? 'unconfirmed' : 'confirmed'),
    onAcks: (records) => {
      for (const each of records) {
        if (each.type !== 'ack') throw new Error('a fault')
        said.push(`ack ${each.k}`)
      }
    },
    onDropped: (lane) => said.push(`dropped ${lane}`),
  })
  return { acks, said, asked: () => asked }
}

it('[RA4] an acknowledgement is acted on when the replicas have confirmed, however often they are asked', async () => {
  const { acks, said } = acksOver('', new StoreError('refused', 'away'), 'run')
  acks.take([ack(1)], 'run')
  await expect.poll(() => said).toEqual(['unconfirmed', 'unconfirmed', 'confirmed', 'ack 1'])
})

it('[RA4] what another state of the server had acknowledged is asked for again', async () => {
  const { acks, said } = acksOver('other')
  acks.take([ack(1)], 'run')
  await expect.poll(() => said).toEqual(['confirmed', 'dropped 0'])
})

it('[RA4] a fault in processing them is made good like a loss', async () => {
  const { acks, said } = acksOver('run')
  acks.take([{ type: 'rewind', slot: 1, generation: 0, from: 1 }], 'run')
  await expect.poll(() => said).toEqual(['confirmed', 'dropped 0'])
})

it('[RA4] those of a boot that is over are never acted on', async () => {
  const { acks, said, asked } = acksOver('run')
  acks.take([ack(1)], 'run')
  acks.stop()
  await expect.poll(() => said).toEqual(['confirmed'])
  acks.take([ack(2)], 'run')
  expect(asked()).toBe(1)
})

it('[RA4] where no replica has to confirm nobody is asked', () => {
  const store = createMemoryStore({ slots: 8, lanes: 1 })
  const seen: OutRecord[] = []
  const acks = createAcks(0, {
    ...{ log, scope, store },
    confirmed: () => undefined,
    onAcks: (records) => seen.push(...records),
    onDropped: () => undefined,
  })
  acks.take([ack(1)], '')
  expect(seen).toEqual([ack(1)])
})
