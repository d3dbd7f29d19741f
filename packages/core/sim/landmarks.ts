import type { FeedState } from '../src/feed-state.ts'
import type { LaneEffect, LaneInput, LaneState } from '../src/lane-state.ts'
import { retainMs } from '../src/limits.ts'
import type { World } from './world.ts'

/** Sees from outside that a reducer came to a limit, or to a part of its recovery. */
export function watchLane(world: World, lane: LaneState, step: () => LaneEffect[], input: LaneInput): LaneEffect[] {
  const mode = lane.mode.type
  const [oldest] = lane.retained
  const loaded = input.type === 'tick' ? roomsOf(lane) : 0
  const effects = step()
  if (lane.mode.type !== mode && lane.mode.type === 'unconfirmed') world.reach('unconfirmed run')
  if (lane.mode.type === 'applying' && effects.some(({ type }) => type === 'commit'))
    world.reach('commits written again')
  if (input.type === 'committed' && oldest !== undefined && forgotEarly(lane, oldest)) {
    world.reach('retained limit')
    world.excuses.add('a limit on retained bytes was reached')
  }
  if (input.type === 'tick' && loaded > lane.limits.loadedRooms && roomsOf(lane) < loaded) world.reach('room evicted')
  watchLimits(world, lane, effects)
  return effects
}

function watchLimits(
  world: World,
  { limits, retainedBytes, keyBudget }: LaneState,
  effects: readonly LaneEffect[],
): void {
  if (retainedBytes > 2 * limits.retainedBytes) world.reach('no more commits')
  if (keyBudget.used >= limits.rememberedKeys) world.reach('keys full')
  for (const effect of effects)
    if (effect.type === 'commit' && effect.messages >= limits.commitMessages) world.reach('commit full')
}

/** Younger than what is to be retained. */
function forgotEarly(lane: LaneState, batch: LaneState['retained'][number]): boolean {
  return lane.mode.type === 'serving' && !lane.retained.includes(batch) && batch.okAt > lane.lastOk - retainMs
}

function roomsOf(lane: LaneState): number {
  let count = 0
  for (const own of lane.slots.values()) count += own.rooms.size
  return count
}

/** Events that were held for a merge are let go of only when it is over, or at the limit. */
export function watchFeed<T>(world: World, feed: FeedState, step: () => T): T {
  const held = feed.held.size
  const result = step()
  if (held > 0 && feed.held.size === 0 && feed.fetches.size > 0 && held >= Math.min(feed.limits.heldEvents, 2))
    world.reach('held dropped')
  return result
}
