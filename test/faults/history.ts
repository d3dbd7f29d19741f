import type { LossReason } from '@flotilla/core/frames'

/**
 * What happened in a run, one line per thing that somebody did or was told, in the order of `t` (ms since the run began,
 * one monotonic clock). A publish has one `id`, which is its key, its data and its name in the log.
 */
export type Line = Publish | Seen | Link | FaultPhase | Logged

/** `refused`: certainly not published. `unknown`: it may have been. What comes last counts. */
export type Publish =
  | {
      /** `again`: what was acknowledged is published once more under its key, by the same sender. */
      readonly type: 'invoke' | 'again'
      readonly t: number
      readonly by: string
      readonly room: string
      readonly id: string
    }
  | {
      readonly type: 'ok'
      readonly t: number
      readonly room: string
      readonly id: string
      readonly epoch: string
      readonly seq: number
    }
  | {
      readonly type: 'refused' | 'unknown'
      readonly t: number
      readonly room: string
      readonly id: string
      readonly code: string
    }

/** One client and one room: an event, or a position that the server told. */
export type Seen =
  | {
      readonly type: 'deliver'
      readonly t: number
      readonly client: string
      readonly room: string
      readonly epoch: string
      readonly seq: number
      readonly id: string
    }
  | {
      /** `recovered`: nothing was lost up to here; else everything between the last position and this may be. */
      readonly type: 'position'
      readonly t: number
      readonly client: string
      readonly room: string
      readonly epoch: string
      readonly seq: number
      readonly recovered: boolean
      readonly reason?: LossReason | undefined
    }

interface Link {
  readonly type: 'connect' | 'disconnect'
  readonly t: number
  readonly client: string
}

/**
 * `inject`: it begins. `lifted`: nothing is broken any more by the fault itself; the fleet heals from here on.
 * Of what may be lost: `behind`: from here on Redis does not keep what it acknowledges; what came before is safe.
 * `emptied`: nothing is safe.
 */
export interface FaultPhase {
  readonly type: 'fault'
  readonly t: number
  readonly phase: 'inject' | 'behind' | 'emptied' | 'lifted' | 'healed'
}

/** A message of a room's log at the end of the run, in the order of the log. */
export interface Logged {
  readonly type: 'logged'
  readonly t: number
  readonly room: string
  readonly epoch: string
  readonly seq: number
  readonly id: string
}

export const encodeHistory = (lines: readonly Line[]): string =>
  lines.map((line) => `${JSON.stringify(line)}\n`).join('')

/** Reads what `encodeHistory` wrote. Throws on a line that is none. */
export function decodeHistory(text: string): Line[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line, i) => {
      const read = JSON.parse(line) as Partial<Line>
      if (typeof read.type !== 'string' || typeof read.t !== 'number')
        throw new Error(`line ${i + 1} is not of a history`)
      return read as Line
    })
}
