import type { ConnectionMessage } from '../src/connection-entry.ts'
import type { ByteBudget, Declaration } from '../src/producer-state.ts'
import { createUserConnections, stepUserConnections } from '../src/user-connections.ts'
import type { UserConnectionsEffect, UserConnectionsInput } from '../src/user-connections.ts'
import type { Process } from './network.ts'
import type { Leaving } from './sessions.ts'
import type { World } from './world.ts'

/** Of a connection whose place was taken, ms. */
const graceMs = 1_500
const tickEveryMs = 1_000

/** What the client of a counted connection is told. All but `connected` and `drain` end it. */
export type CountedFrame =
  | { readonly type: 'connected'; readonly connection: string }
  | { readonly type: 'tooMany'; readonly connection: string }
  | { readonly type: 'later' }
  | { readonly type: 'goingAway' }
  /** Its edge drains: it is to go on elsewhere, and begins to at some moment within this time. */
  | { readonly type: 'drain'; readonly afterMs: number }

interface Opening {
  readonly id: string
  readonly room: string
  readonly replaces: string
}

export interface CountedConnections {
  /** Of the connections that are open, or wait for their answer. */
  readonly sessions: ReadonlyMap<string, Readonly<Session>>
  step(input: UserConnectionsInput): void
  /** Returns how its client ends it. */
  enter(opening: Opening, tell: (frame: CountedFrame) => void): () => void
}
interface Session extends Leaving {
  readonly room: string
  readonly replaces: string
  readonly tell: (frame: CountedFrame) => void
  isIn: boolean
}

/** The connections that count at a simulated edge, in a shell like that of services/edge. */
export function countConnections(
  world: World,
  process: Process,
  { budget, declare }: { readonly budget: ByteBudget; declare(message: Declaration): void },
): CountedConnections {
  const { clock } = world.network
  const state = createUserConnections({ shape: world.shape, limit: world.perUser, graceMs })
  const sessions = new Map<string, Session>()

  function step(input: UserConnectionsInput): void {
    const isAgain = input.type === 'resync' || input.type === 'reset'
    if (input.type === 'connection' && sessions.has(input.connection)) noteAnswer(world, input.connection)
    for (const effect of stepUserConnections(state, input, clock.now)) {
      if (isAgain && effect.type === 'tell') noteAgain(world, effect.message, sessions.get(effect.message.connection))
      if (input.type === 'connection' && effect.type === 'tell' && effect.message.change === 'closed')
        world.reach('sent off')
      execute(effect)
    }
  }

  function execute(effect: UserConnectionsEffect): void {
    if (effect.type === 'tell') tell(effect.message)
    else if (effect.type === 'registered') registered(effect.connection, effect.outcome)
    else if (effect.type === 'replaced') world.reach('place taken')
    else {
      world.reach('grace over')
      end(effect.connection, 'goingAway')
    }
  }

  function tell(message: ConnectionMessage): void {
    if (message.change === 'kept') noteKept(world, message)
    if (message.change !== 'open' || budget.used < budget.max) return declare(message)
    world.reach('not told')
    clock.at(clock.now, () => process.run(() => step({ type: 'untold', connection: message.connection })))
  }

  /** What a session that is open is told of this it does not hear any more. */
  function registered(connection: string, outcome: 'taken' | 'refused' | 'unknown'): void {
    const session = sessions.get(connection)
    if (session === undefined || session.isIn) return
    if (outcome !== 'taken') return end(connection, outcome === 'refused' ? 'tooMany' : 'later')
    session.isIn = true
    session.tell({ type: 'connected', connection })
  }

  function end(connection: string, why: Exclude<CountedFrame['type'], 'connected' | 'drain'>): void {
    const session = sessions.get(connection)
    closed(connection)
    session?.tell(why === 'tooMany' ? { type: why, connection } : { type: why })
  }

  function closed(connection: string): void {
    if (sessions.delete(connection)) step({ type: 'closed', connection })
  }

  if (world.perUser > 0) process.every(tickEveryMs, () => step({ type: 'tick' }))
  return {
    sessions,
    step: (input) => {
      if (world.perUser > 0) step(input)
    },
    enter: ({ id, room, replaces }, told) => {
      sessions.set(id, {
        ...{ room, replaces, tell: told, isIn: false },
        tellToMove: (afterMs) => told({ type: 'drain', afterMs }),
        shut: () => end(id, 'goingAway'),
      })
      step({ type: 'open', connection: id, room, replaces })
      return () => closed(id)
    },
  }
}

/** It counts whatever the limit says, and the worker may have forgotten it. */
function noteKept({ record, reach }: World, { connection, room }: ConnectionMessage): void {
  reach('told as kept')
  record.kept.add(room)
  record.unsure.set(connection, { room, ticket: '', untilMs: Infinity })
}

/**
 * One that waits for its answer is told of without its ticket: another may have had its place in between. Or it has taken the place that
 * the ticket names, and is given up before anybody hears of that.
 */
function noteAgain(
  { record, reach }: World,
  { connection, room, change }: ConnectionMessage,
  session: Session | undefined,
): void {
  if (change !== 'open' || session === undefined || session.replaces === '') return
  reach('told without its ticket')
  record.unsure.set(connection, { room, ticket: session.replaces, untilMs: Infinity })
}

/** From now on the worker knows of it again. Not of one that has ended meanwhile: nobody hears what became of its ticket. */
function noteAnswer({ record, network }: World, connection: string): void {
  const doubt = record.unsure.get(connection)
  if (doubt !== undefined) doubt.untilMs = Math.min(doubt.untilMs, network.clock.now)
}
