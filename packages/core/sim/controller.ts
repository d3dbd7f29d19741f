import { controlPollMs, startControl, stepControl } from '../src/control.ts'
import type { ControlEffect, ControlInput, ControlState } from '../src/control.ts'
import type { Process } from './network.ts'
import type { World } from './world.ts'

/** Control: the real reducer over the simulated store. */
export function startController(world: World, boot: string): Process {
  const process = world.network.process(boot)
  const { stores: store } = world
  const call = world.network.connection(process)
  const pace = world.drains && { reconnectsPerSecond: world.drains.reconnectsPerSecond }
  let state: ControlState = startControl(world.shape.slots, pace)

  function step(input: ControlInput): void {
    const next = stepControl(state, input, world.network.clock.now)
    state = next.state
    for (const effect of next.effects) execute(effect)
  }

  function execute(effect: ControlEffect): void {
    switch (effect.type) {
      case 'lead':
        return call(
          () => store.lead(boot, effect.ttlMs, world.network.clock.now),
          (leading) => step({ type: 'led', leading }),
          () => step({ type: 'leadFailed' }),
        )
      case 'read':
        return call(
          () => store.readFleet(),
          (read) => step({ type: 'observed', ...read }),
          () => step({ type: 'readFailed' }),
        )
      case 'issueEpochs':
        return call(
          () => store.nextEpoch(effect.above, effect.count, world.network.clock.now),
          (first) => step({ type: 'epochs', first, count: effect.count }),
          () => step({ type: 'epochsFailed' }),
        )
      case 'publish':
        world.log(
          `${boot} publishes plan ${effect.plan.version} for ${effect.plan.runs.join()}: ${effect.plan.slots.map((each) => (each === null ? 'nobody' : `${each.worker} ${each.epoch}/${each.confirmed}`)).join(', ')}`,
        )
        return call(
          () => store.publishPlan(boot, effect.plan, world.network.clock.now),
          (ok) => step({ type: 'published', ok }),
          () => step({ type: 'publishFailed' }),
        )
      case 'remove':
        return call(
          () => {
            // It fails where a primary is away, and is asked for again.
            if (world.network.lines.some((line) => line.away)) return
            world.removeOutboxes(effect.boot)
            store.remove(effect.boot)
          },
          () => undefined,
          () => undefined,
        )
    }
  }

  process.every(controlPollMs, () => step({ type: 'tick' }))
  return process
}
