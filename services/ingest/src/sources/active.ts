import { endpointDeadMs } from '@flotilla/core/limits'
import type { Member } from '@flotilla/core/plan'
import { wait } from '@flotilla/node/backoff'
import type { Scope } from '@flotilla/node/scope'
import type { FleetStore } from '@flotilla/node/store/port'

/**
 * Which process takes the messages of an ordered source: of those that have the source, the one that runs longest. So it is with
 * whatever one process at a time does, each with a figure of its own in the members' records.
 */
export interface Turns {
  isMine(source: string): boolean
}
type FigureOf = (name: string) => string

/** What a member's record says of a source that it has. */
export const figureOf = (source: string): string => `source.${source}`

/** How often the fleet is read, ms. */
const readEveryMs = 1_000

/** Reads the fleet again and again; while that fails, what was so is so. Before the first read nothing is anybody's. */
export function watchTurns(
  fleet: Pick<FleetStore, 'read'>,
  boot: () => string,
  scope: Scope,
  figure: FigureOf = figureOf,
): Turns {
  const judge = createJudge()
  let members: readonly Member[] = []
  scope.loop('turns', async (signal) => {
    members = judge((await fleet.read()).members, performance.now())
    await wait(readEveryMs, signal).catch(() => undefined)
  })
  return { isMine: (source) => activeBoot(members, source, boot(), figure) === boot() }
}

/** Members whose beat has moved within the time after which they are dead; those seen for the first time have it all. */
export function createJudge(): (members: readonly Member[], nowMs: number) => readonly Member[] {
  let seen = new Map<string, { readonly beat: number; readonly atMs: number }>()
  return (members, nowMs) => {
    seen = new Map(
      members.map(({ boot, beat }) => {
        const before = seen.get(boot)
        return [boot, before?.beat === beat ? before : { beat, atMs: nowMs }]
      }),
    )
    return members.filter(({ boot }) => nowMs - (seen.get(boot)?.atMs ?? nowMs) < endpointDeadMs)
  }
}

/** The member that takes the source's messages. An earlier boot of the same id as `own` has ended. */
export function activeBoot(
  members: readonly Member[],
  source: string,
  own: string,
  figure: FigureOf = figureOf,
): string | undefined {
  const id = idOf(own)
  const able = members.filter(
    ({ boot, role, state, figures }) =>
      role === 'ingest' && state === 'live' && figures?.[figure(source)] === 1 && (boot === own || idOf(boot) !== id),
  )
  const [first] = able.toSorted((a, b) => a.startedAtMs - b.startedAtMs || (a.boot < b.boot ? -1 : 1))
  return first?.boot
}

const idOf = (boot: string): string => boot.slice(0, boot.lastIndexOf('#'))
