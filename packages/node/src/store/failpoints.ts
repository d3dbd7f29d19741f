import type { Log } from '../log.ts'
import { StoreError } from './port.ts'
import type { Store } from './port.ts'

/**
 * Where a worker may be told to fail, in tests only: before a commit is sent, while it is under way, and after it was
 * applied, before anything is done with the reply. `kill` ends the process as a crash does; `stop` makes it stand still
 * until it is let go on (SIGCONT), and then it sends the commit; `lose` makes the reply one that never came. Control may
 * be told to stand still before it sends a plan.
 */
export interface Failpoint {
  readonly point: 'before-commit' | 'during-commit' | 'after-commit' | 'before-plan'
  readonly action: 'kill' | 'stop' | 'lose'
  /** Which commit, or plan, of this process, from 1. */
  readonly at: number
}

const pattern = /^((?:before|during|after)-commit=kill|before-(?:commit|plan)=stop|after-commit=lose)@([1-9]\d{0,8})$/

/** Reads `point=action@n`, several with commas. Throws on anything else. */
export function parseFailpoints(text: string): readonly Failpoint[] {
  return text.split(',').map((part) => {
    const match = pattern.exec(part.trim())
    if (match === null)
      throw new Error(`FLOTILLA_FAILPOINTS: "${part}" is not <before|during|after>-<commit|plan>=<kill|stop|lose>@<n>`)
    const [, what = '', at] = match
    const [point, action] = what.split('=') as [Failpoint['point'], Failpoint['action']]
    return { point, action, at: Number(at) }
  })
}

export interface FailpointDeps {
  readonly log: Log
  /** The environment that the process runs in: anything but `test` refuses. */
  readonly nodeEnv: string | undefined
  kill(): void
  /** Returns when the process goes on; SIGSTOP otherwise. */
  stop?(): void
}

/** The store as it is, but that it fails where `text` says. Throws when this is no test. */
export function withFailpoints(store: Store, text: string | null, deps: FailpointDeps): Store {
  if (text === null) return store
  if (deps.nodeEnv !== 'test') throw new Error('FLOTILLA_FAILPOINTS is for tests: NODE_ENV is not "test"')
  const failpoints = parseFailpoints(text)
  const stop = deps.stop ?? (() => process.kill(process.pid, 'SIGSTOP'))
  const commit = failingCommit(store, failpoints, { ...deps, stop })
  const publishPlan = failingPlan(store, failpoints, { ...deps, stop })
  return { ...store, slots: { ...store.slots, commit }, fleet: { ...store.fleet, publishPlan } }
}

type Failing = Required<FailpointDeps>

function failingCommit(
  store: Store,
  failpoints: readonly Failpoint[],
  { log, kill, stop }: Failing,
): Store['slots']['commit'] {
  let commits = 0
  return async (...args) => {
    commits += 1
    const number = commits
    const now = new Set(
      failpoints.filter((each) => each.at === commits).map(({ point, action }) => `${point}=${action}`),
    )
    if (now.has('before-commit=kill')) kill()
    // It is sent in the same turn in which the process goes on: nobody can tell the worker before that it lost its slots.
    if (now.has('before-commit=stop')) stop()
    const call = store.slots.commit(...args)
    // By the next turn of the loop it has been written to the socket.
    if (now.has('during-commit=kill')) setImmediate(kill)
    const reply = await call
    if (now.has('after-commit=kill')) kill()
    if (now.has('before-commit=stop')) {
      const accepted = reply.statuses.filter((status) => status === 'ok').length
      log.warn('failpoint: a commit was sent late', { commit: number, slots: reply.statuses.length, accepted })
    }
    if (!now.has('after-commit=lose')) return reply
    log.warn('failpoint: the reply of a commit is lost', { commit: number })
    throw new StoreError('unknown', 'failpoint')
  }
}

function failingPlan(
  store: Store,
  failpoints: readonly Failpoint[],
  { log, stop }: Failing,
): Store['fleet']['publishPlan'] {
  let plans = 0
  return async (boot, plan) => {
    plans += 1
    const isLate = failpoints.some(({ point, at }) => point === 'before-plan' && at === plans)
    // As with a commit: it is sent before the process can hear that another leads.
    if (isLate) stop()
    const accepted = await store.fleet.publishPlan(boot, plan)
    if (isLate) log.warn('failpoint: a plan was sent late', { version: plan.version, accepted })
    return accepted
  }
}
