import type { Fault } from '../fault.ts'
import { clientNetworks } from './client-network.ts'
import { clockJumps } from './clock-jump.ts'
import { controlAway } from './control-away.ts'
import { edgeKill } from './edge-kill.ts'
import { edgeKillResume } from './edge-kill-resume.ts'
import { edgePause } from './edge-pause.ts'
import { eviction } from './eviction.ts'
import { failOvers } from './fail-over.ts'
import { partitions } from './partition.ts'
import { poison } from './poison.ts'
import { redisDown } from './redis-down.ts'
import { redisFull } from './redis-full.ts'
import { redisLoses } from './redis-loses.ts'
import { redisSlow } from './redis-slow.ts'
import { repliesLost } from './replies-lost.ts'
import { rolling } from './rolling.ts'
import { trims } from './trimmed.ts'
import { twoPlans } from './two-plans.ts'
import { twinWorker } from './twin-worker.ts'
import { workerFailpoints } from './worker-failpoint.ts'
import { workerKill } from './worker-kill.ts'
import { workerPauses } from './worker-pause.ts'

/** Every fault of the campaign, in the order of the report. */
export const faults: readonly Fault[] = [
  edgeKill,
  edgeKillResume,
  edgePause,
  workerKill,
  ...workerFailpoints,
  ...workerPauses,
  twinWorker,
  ...controlAway,
  twoPlans,
  ...redisDown,
  redisSlow,
  ...failOvers,
  ...redisLoses,
  ...redisFull,
  ...partitions,
  repliesLost,
  ...trims,
  ...clientNetworks,
  ...clockJumps,
  ...rolling,
  eviction,
  poison,
]
