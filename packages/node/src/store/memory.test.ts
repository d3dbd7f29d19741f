import { appendNumbered, createStream } from '@flotilla/core/store-streams'
import type { ContractSubject } from './contract-kit.ts'
import { contractShape } from './contract-kit.ts'
import { storeContract } from './contract.ts'
import { createMemoryStore } from './memory.ts'

function makeSubject(): Promise<ContractSubject> {
  const store = createMemoryStore(contractShape)
  const { model } = store
  let runs = 0
  return Promise.resolve({
    store,
    writeHalf: (room, lastSeq, body, { lane, boot, text }) => {
      const half = model.snapshot()
      const data = half.lanes[lane]
      data?.logs.set(room, { lines: [{ lastSeq, body }], expiresAtMs: Infinity })
      const outbox = data?.outboxes.get(boot) ?? createStream()
      appendNumbered(outbox, text)
      model.restore(half)
      return Promise.resolve()
    },
    deadLetters: (lane) => Promise.resolve(model.deadLetters(lane).map(({ body, reason }) => ({ body, reason }))),
    remember: () => {
      const then = model.snapshot()
      return Promise.resolve(() => {
        model.restore(then)
        runs += 1
        model.run = `restored-${runs}`
        return Promise.resolve(store)
      })
    },
    close: () => store.close(),
  })
}

storeContract('memory', makeSubject)
