import type { ByteBudget, Declaration } from '../src/producer-state.ts'
import { createUserConnections, stepUserConnections } from '../src/user-connections.ts'
import type { UserConnections, UserConnectionsEffect, UserConnectionsInput } from '../src/user-connections.ts'
import type { Process } from './network.ts'
import type { World } from './world.ts'

/** Of a connection whose place was taken, ms. */
const graceMs = 1_500
const tickEveryMs = 1_000

/** What the client of a counted connection is told. All but the first end it. */
export type CountedFrame =
  | { readonly type: 'connected'; readonly connection: string }
  | { readonly type: 'tooMany' }
  | { readonly type: 'later' }
  | { readonly type: 'goingAway' }

interface Opening {
  readonly id: string
  readonly room: string
  readonly replaces: string
}

export interface CountedConnections {
  readonly all: UserConnections
  step(input: UserConnectionsInput): void
  /** Returns how its client ends it. */
  open(opening: Opening, tell: (frame: CountedFrame) => void): () => void
}

/** The connections that count at a simulated edge, in a shell like that of services/edge. */
export function countConnections(
  world: World,
  process: Process,
  { budget, declare }: { readonly budget: ByteBudget; declare(message: Declaration): void },
): CountedConnections {
  const { clock } = world.network
  const all = createUserConnections({ shape: world.shape, limit: world.perUser, graceMs })
  const clients = new Map<string, (frame: CountedFrame) => void>()

  function step(input: UserConnectionsInput): void {
    for (const effect of stepUserConnections(all, input, clock.now)) {
      if (input.type === 'connection' && effect.type === 'tell' && effect.message.change === 'closed')
        world.reach('sent off')
      execute(effect)
    }
  }

  function execute(effect: UserConnectionsEffect): void {
    switch (effect.type) {
      case 'tell': {
        const { message } = effect
        if (message.change === 'kept') world.reach('told as kept')
        if (message.change !== 'open' || budget.used < budget.max) return declare(message)
        world.reach('not told')
        return clock.at(clock.now, () => process.run(() => step({ type: 'untold', connection: message.connection })))
      }
      case 'registered':
        if (effect.outcome === 'taken')
          clients.get(effect.connection)?.({ type: 'connected', connection: effect.connection })
        else end(effect.connection, effect.outcome === 'refused' ? 'tooMany' : 'later')
        return
      case 'replaced':
        return world.reach('place taken')
      case 'close':
        world.reach('grace over')
        end(effect.connection, 'goingAway')
    }
  }

  function end(connection: string, why: Exclude<CountedFrame['type'], 'connected'>): void {
    const tell = clients.get(connection)
    closed(connection)
    tell?.({ type: why })
  }

  function closed(connection: string): void {
    if (clients.delete(connection)) step({ type: 'closed', connection })
  }

  if (world.perUser > 0) process.every(tickEveryMs, () => step({ type: 'tick' }))
  return {
    all,
    step: (input) => {
      if (world.perUser > 0) step(input)
    },
    open: ({ id, room, replaces }, tell) => {
      clients.set(id, tell)
      step({ type: 'open', connection: id, room, replaces })
      return () => closed(id)
    },
  }
}
