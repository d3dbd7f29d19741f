import { createPresence, stepPresence } from '../src/presence.ts'
import type { PresenceInput } from '../src/presence.ts'
import type { MemberMessage, QueryMessage } from '../src/member-entry.ts'
import type { ByteBudget, Declaration } from '../src/producer-state.ts'
import type { Process } from './network.ts'
import type { World } from './world.ts'

const tickEveryMs = 1_000

/** The members at a simulated edge, in a shell like that of services/edge; every one of them watches its rooms. */
export interface SimPresence {
  step(input: PresenceInput): void
  enter(room: string, connection: string, user: string): void
  leave(room: string, connection: string): void
  /** Users that are told to be in a room; undefined when nobody here watches it, null while a list is waited for. */
  told(room: string): readonly string[] | null | undefined
  /** Users whose connections here are in the room. */
  here(room: string): readonly string[]
}

/** Where nobody is a member. */
const absent: SimPresence = {
  step: () => undefined,
  enter: () => undefined,
  leave: () => undefined,
  told: () => undefined,
  here: () => [],
}

export function attend(
  world: World,
  process: Process,
  { budget, declare }: { readonly budget: ByteBudget; declare(message: Declaration): void },
): SimPresence {
  const { clock } = world.network
  const state = createPresence(world.shape)
  /** What clients know, from what they were told. */
  const known = new Map<string, Set<string>>()

  function step(input: PresenceInput): void {
    for (const effect of stepPresence(state, input, clock.now)) {
      if (effect.type === 'tell') {
        tell(effect.message)
        continue
      }
      const { members, joined = [], left = [] } = effect.news
      const users = new Set(members?.map(({ user }) => user) ?? known.get(effect.room))
      for (const { user } of joined) users.add(user)
      for (const { user } of left) users.delete(user)
      known.set(effect.room, users)
    }
  }

  function tell(message: MemberMessage | QueryMessage): void {
    const isOut = message.type === 'member' && message.change !== 'in'
    if (isOut || budget.used < budget.max) return declare(message)
    const { room } = message
    if (message.type === 'member') step({ type: 'untold', room, connection: message.connection })
  }

  if (!world.members) return absent
  process.every(tickEveryMs, () => step({ type: 'tick' }))
  return {
    step,
    enter: (room, connection, user) => {
      step({ type: 'enter', room, connection, user })
      step({ type: 'watch', room, connection, on: true })
    },
    leave: (room, connection) => {
      step({ type: 'watch', room, connection, on: false })
      step({ type: 'leave', room, connection, change: 'out' })
    },
    told: (room) => {
      const own = state.rooms.get(room)
      if (own === undefined || own.watchers.size === 0) return undefined
      return own.askedAtMs === null ? [...(known.get(room) ?? [])] : null
    },
    here: (room) => [...new Set(Array.from(state.rooms.get(room)?.own.values() ?? [], ({ user }) => user))],
  }
}
