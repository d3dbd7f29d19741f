import { formatInterest } from '@flotilla/core/interest'
import type { Claim, ClaimReply, CommitReply, OutAppend, SlotCommit, SlotStatus } from '@flotilla/core/commit'
import { encodeOut, RS, US } from '@flotilla/core/entry'
import { laneOf } from '@flotilla/core/slot'
import type { SlotStore } from '../port.ts'
import type { Arg } from './command.ts'
import type { Keys } from './keys.ts'
import { claim } from './lua/claim.ts'
import { commit } from './lua/commit.ts'
import { maintain } from './lua/maintain.ts'
import { verdicts } from './lua/script.ts'
import type { Verdict } from './lua/script.ts'
import { values } from './lua/values.ts'
import { vouch } from './lua/vouch.ts'
import type { Topology } from './topology.ts'

export function redisSlots(topology: Topology, keys: Keys): SlotStore {
  return {
    commit: (lane, commits, run = '') => writeCommit(topology, keys, { lane, commits, run }),
    claim: (wanted) => writeClaim(topology, keys, wanted),
    values: async (lane, slots) => {
      const { run, rest } = await topology.lane(lane).script(values, [keys.slots(lane)], slots)
      const texts = rest[0] as (string | null)[]
      return { run, values: new Map(slots.map((slot, i) => [slot, texts[i] ?? null])) }
    },
    vouch: async (lane, prefixes, expected = '') => {
      const args = [...[...prefixes].flatMap(([slot, prefix]) => [slot, prefix]), expected]
      const { run, rest } = await topology.lane(lane).script(vouch, [keys.slots(lane)], args)
      return { run, statuses: (rest[0] as number[]).map((code) => statusOf(verdictOf(code))), missing: [] }
    },
    maintain: async (lane, work) => {
      const inputs = work.map(({ slot }) => keys.input(slot))
      const logs = work.flatMap(({ rooms }) => rooms.map((room) => keys.logIn(lane, room)))
      const args = work.flatMap(({ slot, prefix, rooms }) => [slot, prefix, rooms.length])
      await topology.lane(lane).script(maintain, [keys.slots(lane), ...inputs, ...logs], [work.length, ...args])
    },
  }
}

const verdictOf = (code: number): Verdict => verdicts[code] ?? 'conflict'
const statusOf = (verdict: Verdict): SlotStatus => (verdict === 'match' ? 'ok' : verdict)

/**
 * One script call; a second one, for the rest, when some of the slots were written before and others not. The second
 * checks again, so what it finds counts.
 */
async function writeCommit(
  topology: Topology,
  keys: Keys,
  {
    lane,
    commits,
    run: expected,
  }: { readonly lane: number; readonly commits: readonly SlotCommit[]; readonly run: string },
): Promise<CommitReply> {
  const call = commitCall(keys, lane, commits)
  const { run, rest } = await topology.lane(lane).script(commit, call.keys, [...call.args, expected])
  const found = (rest[0] as number[]).map(verdictOf)
  const statuses = found.map(statusOf)
  const taken = rest[2]
  if (typeof taken === 'number') {
    statuses[slotOfLog(commits, taken)] = 'conflict'
    return { run, statuses, missing: [] }
  }
  const unwritten = commits.filter((_, i) => found[i] === 'match')
  const mixed = unwritten.length > 0 && unwritten.length < commits.length && statuses.every((status) => status === 'ok')
  if (!mixed) return { run, statuses, missing: (rest[1] as number[]).map((i) => call.boots[i] ?? '') }
  const second = await writeCommit(topology, keys, { lane, commits: unwritten, run: expected })
  const rechecked = second.statuses.values()
  return {
    ...second,
    statuses: found.map((verdict) => (verdict === 'match' ? (rechecked.next().value ?? 'conflict') : 'ok')),
  }
}

/** Index of the commit that the log of that number is part of. */
function slotOfLog(commits: readonly SlotCommit[], log: number): number {
  let after = 0
  return commits.findIndex(({ logs }) => log < (after += logs.length))
}

interface CommitCall {
  readonly keys: readonly string[]
  readonly args: readonly Arg[]
  readonly boots: readonly string[]
}
/** What the slots of one commit tell one boot: one entry of its outbox. */
interface Out {
  records: string
  /** Numbers of the logs, from 1: first and last of each run of them. */
  readonly logs: number[]
}

/** The flat arguments of the script (lua/commit.ts). */
function commitCall(keys: Keys, lane: number, commits: readonly SlotCommit[]): CommitCall {
  const names = [keys.slots(lane)]
  const args: Arg[] = [commits.length]
  for (const { slot, expect, value } of commits) args.push(slot, expect, value)
  const outs = new Map<string, Out>()
  let logs = 0
  const logsAt = args.push(0) - 1
  for (const each of commits) {
    for (const [boot, out] of each.outs) addOut(outs, boot, { out, logsBefore: logs })
    for (const { room, lastSeq, body, keepFromSeq } of each.logs) {
      logs += 1
      names.push(keys.logIn(lane, room))
      args.push(`${lastSeq}-0`, beginsLife(body) ? 'new' : keepFromSeq === 0 ? '' : `${keepFromSeq}-0`, body)
    }
  }
  args[logsAt] = logs
  args.push(outs.size)
  for (const [boot, out] of outs) {
    names.push(keys.outbox(lane, boot))
    args.push(out.records, out.logs.join(' '))
  }
  const changing = commits.filter(({ interest }) => interest.length > 0)
  args.push(changing.length)
  for (const { slot, interest } of changing) {
    names.push(keys.interest(slot))
    args.push(interest.length)
    for (const { on, ...who } of interest) args.push(on ? '+' : '-', formatInterest(who))
  }
  return { keys: names, args, boots: [...outs.keys()] }
}

function addOut(
  outs: Map<string, Out>,
  boot: string,
  { out, logsBefore }: { out: OutAppend; logsBefore: number },
): void {
  let all = outs.get(boot)
  if (all === undefined) outs.set(boot, (all = { records: '', logs: [] }))
  if (out.records !== '') all.records = all.records === '' ? out.records : all.records + RS + out.records
  for (const i of out.logs) {
    const log = logsBefore + i + 1
    if (all.logs.at(-1) === log - 1) all.logs[all.logs.length - 1] = log
    else all.logs.push(log, log)
  }
}

/** Whether a log entry's first message has seq 1: the fifth field of its text (core/entry.ts encodeLog). */
function beginsLife(body: string): boolean {
  let at = -1
  for (let field = 0; field < 4; field++) at = body.indexOf(US, at + 1)
  return body.startsWith(`1${US}`, at + 1)
}

async function writeClaim(topology: Topology, keys: Keys, wanted: Claim): Promise<ClaimReply> {
  const { slot, epoch, owner, confirmed, replaced = {}, holdsAfter, boots } = wanted
  const lane = laneOf(slot, keys.lanes)
  const names = [keys.slots(lane), ...boots.map((boot) => keys.outbox(lane, boot))]
  const reset = encodeOut({ type: 'reset', slot, inc: epoch })
  const runs = Object.entries(replaced).map(([run, until]) => `${run}=${until}`)
  const args = [
    slot,
    epoch,
    owner,
    confirmed,
    holdsAfter?.prefix ?? '',
    reset,
    holdsAfter?.inc ?? 0,
    runs.join(','),
    holdsAfter?.run ?? '',
  ]
  const { run, rest } = await topology.lane(lane).script(claim, names, args)
  const [taken, text, before] = rest
  const value = typeof text === 'string' && text !== '' ? text : null
  if (taken !== 1 || value === null) return { ok: false, run, value }
  return { ok: true, run, value, ...(typeof before === 'string' && before !== '' ? { before } : {}) }
}
