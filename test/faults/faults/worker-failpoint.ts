import { until } from '../../fleet/until.ts'
import type { Fault } from '../fault.ts'

const failing = 'shard-1'
/** Commits of the worker before it fails: more than it makes before the load is there. */
const at = 400

const killed = (point: 'before-commit' | 'during-commit' | 'after-commit', about: string): Fault => ({
  name: `worker-kill-${point}`,
  about,
  healWithinMs: 5_000,
  needs: { env: { [failing]: { FLOTILLA_FAILPOINTS: `${point}=kill@${at}` } } },
  async inject({ fleet: { workers }, count }) {
    const worker = workers.find((each) => each.name === failing)
    const ended = worker?.ending()
    await until('it has killed itself', () => worker?.running === false, 90_000)
    count('killedByItself', (await ended)?.signal === 'SIGKILL' ? 1 : 0)
  },
  evidence: async ({ fleet, total }) => ({
    slotsTakenOver: await total(fleet.controls, 'flotilla_control_moves_total', 'orphan'),
  }),
})

const losses = [0, 1, 2, 5, 50, 51, 400].map((after) => `after-commit=lose@${at + after}`)

export const workerFailpoints: readonly Fault[] = [
  killed('before-commit', 'A worker is killed when a commit is composed and not yet sent.'),
  killed('during-commit', 'A worker is killed when a commit is sent and not yet answered.'),
  killed('after-commit', 'A worker is killed when a commit is applied, before it heard of it.'),
  {
    name: 'commit-reply-lost',
    about: 'Commits are applied and their replies lost, several in a row and several times.',
    needs: { env: { [failing]: { FLOTILLA_FAILPOINTS: losses.join(',') } } },
    async inject({ fleet, count }) {
      const worker = fleet.workers.find((each) => each.name === failing)
      const lost = (): number => worker?.logged('failpoint: the reply of a commit is lost').length ?? 0
      await until(`${losses.length} replies are lost`, () => lost() >= losses.length, 90_000)
      count('repliesLost', lost())
    },
    // The worker counts them too; the first may be from before the fault was noted.
    evidence: async ({ fleet, total }) => ({
      commitsWithoutReply: await total(fleet.workers, 'flotilla_shard_commit_failures_total'),
    }),
  },
]
