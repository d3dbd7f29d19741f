import type { Log } from '../log.ts'
import { StoreError } from './port.ts'
import type { Store } from './port.ts'

/**
 * Where a worker may be told to fail, in tests only: before a commit is sent, while it is under way, and after it was
 * applied, before anything is done with the reply. `kill` ends the process as a crash does; `stop` makes it stand still
 * until it is let go on (SIGCONT), and then it sends the commit; `lose` makes the reply one that never came.
 */
export interface Failpoint {
  readonly point: 'before-commit' | 'during-commit' | 'after-commit'
  readonly action: 'kill' | 'stop' | 'lose'
  /** Which commit of this process, from 1. */
  readonly at: number
}

const pattern = /^((?:before|during|after)-commit=kill|before-commit=stop|after-commit=lose)@([1-9]\d{0,8})$/

/** Reads `point=action@n`, several with commas. Throws on anything else. */
export function parseFailpoints(text: string): readonly Failpoint[] {
  return text.split(',').map((part) => {
    const match = pattern.exec(part.trim())
    if (match === null)
      throw new Error(`FLOTILLA_FAILPOINTS: "${part}" is not <before|during|after>-commit=<kill|stop|lose>@<n>`)
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
  let commits = 0
  const commit: Store['slots']['commit'] = async (...args) => {
    commits += 1
    const number = commits
    const now = new Set(
      failpoints.filter((each) => each.at === commits).map(({ point, action }) => `${point}=${action}`),
    )
    if (now.has('before-commit=kill')) deps.kill()
    // It is sent in the same turn in which the process goes on: nobody can tell the worker before that it lost its slots.
    if (now.has('before-commit=stop')) stop()
    const call = store.slots.commit(...args)
    // By the next turn of the loop it has been written to the socket.
    if (now.has('during-commit=kill')) setImmediate(deps.kill)
    const reply = await call
    if (now.has('after-commit=kill')) deps.kill()
    if (now.has('before-commit=stop')) {
      const accepted = reply.statuses.filter((status) => status === 'ok').length
      deps.log.warn('failpoint: a commit was sent late', { commit: number, slots: reply.statuses.length, accepted })
    }
    if (!now.has('after-commit=lose')) return reply
    deps.log.warn('failpoint: the reply of a commit is lost', { commit: number })
    throw new StoreError('unknown', 'failpoint')
  }
  return { ...store, slots: { ...store.slots, commit } }
}
