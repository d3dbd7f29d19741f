// A fleet, and who looks on.
import { startFleet } from './fleet.mjs'
import { createSent, startWatcher, startWitness } from './observers.mjs'
import { createPoster, createTally, tryBatch } from './trial.mjs'

/**
 * Starts it. `send(item)` sends a batch or a request and resolves with what is wrong with what came back. `faultNow()`: what is wrong
 * by now with the fleet; it sends an event all the way round.
 */
export async function openStage({ preload, random }) {
  const fleet = await startFleet(preload)
  const { edge, ingest } = fleet.ports
  const [faults, sent, back] = [[], createSent(), createTally()]
  const watcher = await startWatcher(edge, sent, faults)
  const witness = await startWitness(edge, faults)
  const published = (item) => item.published ?? item.inputs.flatMap((input) => input.published ?? [])
  return {
    ...{ fleet, back },
    heard: watcher.heard,
    memory: () => (fleet.runs ? fleet.memory() : Promise.resolve({ rss: 0, heapUsed: 0, external: 0 })),
    poster: () => createPoster({ port: ingest, back }),
    send: (item, poster) => {
      for (const trace of published(item)) sent.add(trace)
      return item.inputs === undefined ? poster.post(item) : tryBatch(random, item, { port: edge, back })
    },
    faultNow: async () => {
      const known = fleet.complaints()[0] ?? faults[0]
      if (known !== undefined) return known
      const late = await Promise.all([watcher.roundTrip(), witness.roundTrip()]).then(
        () => undefined,
        (error) => error.message,
      )
      sent.forget()
      return fleet.complaints()[0] ?? faults[0] ?? late
    },
    close: async () => {
      watcher.close()
      witness.close()
      await fleet.stop()
    },
  }
}
