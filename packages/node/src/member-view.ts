import type { ServerFrame } from '@flotilla/core/frames'
import type { PresentUser } from '@flotilla/core/member-entry'

export type MemberView = NonNullable<Extract<ServerFrame, { type: 'presence' }>['joined']>[number]
type Shown = Pick<MemberView, 'status' | 'data'>

/** A member as clients and services are told of it. Who never said anything is online. */
export function viewOf({ user, sinceMs, state }: PresentUser): MemberView {
  const shown: Shown = state === '' ? { status: 'online' } : (JSON.parse(state) as Shown)
  return { userId: user, since: new Date(sinceMs).toISOString(), ...shown }
}
