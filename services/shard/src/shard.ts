import { randomBytes } from 'node:crypto'
import { workerDeadMs, workerHeartbeatMs } from '@flotilla/core/limits'
import { learn, slotsByRun, versionHeld } from '@flotilla/core/plan'
import type { Knowledge, Member, Plan } from '@flotilla/core/plan'
import type { Policy } from '@flotilla/core/policy'
import { wait } from '@flotilla/node/backoff'
import type { Log } from '@flotilla/node/log'
import type { Metrics } from '@flotilla/node/metrics'
import { fixedPolicy } from '@flotilla/node/policy'
import type { PolicySource } from '@flotilla/node/policy'
import type { Scope } from '@flotilla/node/scope'
import type { Store } from '@flotilla/node/store/port'
import { runLane } from './lane-loop.ts'
import { shardMetrics } from './metrics.ts'

/** How often the list of members is read when nobody asks for it, ms. */
const membersEveryMs = 2_000
/** How often a worker looks whether it was silent for too long, ms. */
const silenceLookMs = 100

export interface ShardOptions {
  readonly memberId: string
  readonly version: string
  readonly drainTimeoutMs: number
  readonly admin?: string
}
export interface ShardDeps {
  readonly store: Store
  readonly log: Log
  readonly scope: Scope
  readonly metrics: Metrics
  /** Says how much rooms keep; the default one when it is left out. */
  readonly policy?: PolicySource
}
export interface Shard {
  readonly boot: string
  /** Whether heartbeats reach the store: then this worker takes new input. */
  readonly healthy: boolean
  readonly slots: number
  /** Tells control, waits until the slots have moved or the time is over, and takes the member record away. */
  drain(): Promise<void>
}

/** Starts a worker: one loop per lane, a heartbeat, and the list of members they share. */
export async function startShard(options: ShardOptions, deps: ShardDeps): Promise<Shard> {
  const { store, scope, log, policy = fixedPolicy() } = deps
  const boot = `${options.memberId}#${BigInt(`0x${randomBytes(6).toString('hex')}`).toString(36)}`
  const metrics = shardMetrics(deps.metrics)
  const startedAtMs = Date.now()
  let plan: Plan | null = null
  let knows: Knowledge = { plan: 0, epoch: 0 }
  let runs: readonly string[] = []
  let beat = 0
  let lastBeatOk = performance.now()
  let members: readonly Member[] = []
  let draining = false
  const failing = new Set<string>()
  const soon = { beat: once(heartbeat), members: once(readMembers) }
  const lanes = Array.from({ length: store.shape.lanes }, (_, lane) =>
    runLane(lane, boot, {
      store,
      log: log.child({ lane }),
      scope,
      metrics,
      report: soon.beat,
      refreshMembers: soon.members,
    }),
  )

  const keep = (current: Policy): void => {
    for (const lane of lanes) lane.input({ type: 'policy', policy: current })
  }
  keep(policy.current)
  policy.onChange(keep)

  function owned(): Record<string, number> {
    const all: Record<string, number> = {}
    for (const lane of lanes) for (const [slot, epoch] of lane.owned()) all[slot] = epoch
    return all
  }

  function member(): Member {
    const serving = owned()
    metrics.owned.set(Object.values(serving).filter((epoch) => epoch > 0).length)
    return {
      boot,
      role: 'shard',
      state: draining ? 'draining' : 'live',
      beat,
      owned: serving,
      vouched: slotsByRun(lanes.map((lane) => lane.vouched())),
      knows,
      startedAtMs,
      version: options.version,
      ...(options.admin === undefined ? {} : { admin: options.admin }),
    }
  }

  /** A warning when it begins: while the store is away the same is asked many times a second. */
  function tellOnce(what: string, error: unknown): void {
    log[failing.has(what) ? 'debug' : 'warn'](what, { error: error instanceof Error ? error.message : String(error) })
    failing.add(what)
  }

  async function heartbeat(): Promise<void> {
    beat += 1
    try {
      const answer = await store.fleet.heartbeat(member(), versionHeld(plan, runs))
      lastBeatOk = performance.now()
      failing.delete('heartbeat failed')
      if (!answer.known && !scope.signal.aborted) {
        for (const lane of lanes) lane.input({ type: 'forgotten' })
        await store.fleet.register(member())
      }
      runs = answer.runs
      tellRuns(runs)
      if (answer.plan !== undefined) {
        plan = answer.plan
        knows = learn(knows, plan)
        for (const lane of lanes) lane.input({ type: 'plan', plan: answer.plan })
      }
    } catch (error) {
      tellOnce('heartbeat failed', error)
    }
    pauseIfSilent()
  }

  /** A worker that others may believe dead takes no new input, but keeps what it has until it is fenced. */
  function pauseIfSilent(): void {
    const isSilent = performance.now() - lastBeatOk > workerDeadMs
    for (const lane of lanes) lane.pause(isSilent)
  }

  function tellRuns(runs: readonly string[]): void {
    lanes.forEach((lane, index) => {
      const run = runs[store.primaryOf(index)]
      if (run !== undefined && run !== '') lane.input({ type: 'run', run })
    })
  }

  async function readMembers(): Promise<void> {
    try {
      const fleet = await store.fleet.read()
      members = fleet.members
      failing.delete('members could not be read')
      const alive = new Set(
        members.filter((each) => each.role === 'edge' || each.role === 'ingest').map((each) => each.boot),
      )
      for (const lane of lanes) lane.input({ type: 'members', alive })
    } catch (error) {
      tellOnce('members could not be read', error)
      // Somebody may wait for this list: it is read again, at the pace of the heartbeat.
      scope.after(workerHeartbeatMs, soon.members)
    }
  }

  scope.defer(
    store.watchRuns((primary, run) =>
      tellRuns(Array.from({ length: primary + 1 }, (_, i) => (i === primary ? run : ''))),
    ),
  )
  await store.fleet.register(member())
  await readMembers()
  await heartbeat()
  scope.every(workerHeartbeatMs, soon.beat)
  // A heartbeat that is not answered ends in its own time.
  scope.every(silenceLookMs, pauseIfSilent)
  scope.every(membersEveryMs, soon.members)

  return {
    boot,
    get healthy() {
      return performance.now() - lastBeatOk <= workerDeadMs
    },
    get slots() {
      return Object.keys(owned()).length
    },
    drain: async () => {
      draining = true
      const deadline = performance.now() + options.drainTimeoutMs
      const others = (): boolean =>
        members.some((each) => each.role === 'shard' && each.boot !== boot && each.state === 'live')
      while (Object.keys(owned()).length > 0 && others() && performance.now() < deadline) {
        await heartbeat()
        await wait(50, scope.signal)
      }
      await store.fleet.remove(boot)
    },
  }
}

/** Runs `task` again after the run under way, however often it was asked for meanwhile. */
function once(task: () => Promise<void>): () => void {
  let running = false
  let again = false
  const run = (): void => {
    if (running) {
      again = true
      return
    }
    running = true
    void task().finally(() => {
      running = false
      if (again) {
        again = false
        run()
      }
    })
  }
  return run
}
