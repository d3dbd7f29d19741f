import type { OutRecord } from '@flotilla/core/entry'
import type { ServerFrame } from '@flotilla/core/frames'
import type { MemberMessage, QueryMessage } from '@flotilla/core/member-entry'
import { viewOf } from '@flotilla/node/member-view'
import { createPresence, stepPresence } from '@flotilla/core/presence'
import type { Presence, PresenceEffect, PresenceInput, PresenceNews } from '@flotilla/core/presence'
import type { SessionEffect } from '@flotilla/core/session-state'
import type { Endpoint } from '@flotilla/node/endpoint-port'
import type { Connection } from './connection.ts'
import { textFrame } from './wire.ts'

export type PresenceSessionEffect = Extract<SessionEffect, { type: 'attend' | 'show' | 'unsubscribe' }>

/** Tells rooms' workers of the members at this edge, and connections of the members everywhere. */
export interface EdgePresence {
  onSession(connection: Connection, effect: PresenceSessionEffect): void
  onClosed(connection: Connection): void
  onRecords(records: readonly OutRecord[]): void
  onResync(lane: number): void
  /** Once a second. */
  check(nowMs: number): void
}

/** Executes what `stepPresence` of core decides. */
export function createEdgePresence(deps: {
  readonly shape: Presence['shape']
  endpoint(): Pick<Endpoint, 'tell'>
}): EdgePresence {
  const state = createPresence(deps.shape)
  const open = new Map<string, Connection>()

  function step(input: PresenceInput, nowMs = performance.now()): void {
    for (const effect of stepPresence(state, input, nowMs)) execute(effect)
  }

  function tell(message: MemberMessage | QueryMessage): void {
    if (deps.endpoint().tell(message) || message.type === 'query') return
    step({ type: 'untold', room: message.room, connection: message.connection })
  }

  function execute(effect: PresenceEffect): void {
    if (effect.type === 'tell') return tell(effect.message)
    const frame = textFrame(JSON.stringify(frameOf(effect.room, effect.news)))
    for (const id of effect.to) open.get(id)?.write(frame)
  }

  return {
    onSession: (connection, effect) => {
      const { id, userId: user } = connection
      if (effect.type === 'show') {
        open.set(id, connection)
        return step({ type: 'show', connection: id, state: effect.state })
      }
      const { room } = effect
      const { member, watch } = effect.type === 'attend' ? effect : { member: false, watch: false }
      if (member || watch) open.set(id, connection)
      else if (!open.has(id)) return
      if (member) step({ type: 'enter', room, connection: id, user })
      step({ type: 'watch', room, connection: id, on: watch })
      if (!member) step({ type: 'leave', room, connection: id, change: 'out' })
    },
    onClosed: ({ id }) => {
      if (open.delete(id)) step({ type: 'closed', connection: id })
    },
    onRecords: (records) => {
      for (const record of records) {
        if (record.type === 'presence' || record.type === 'reset') step(record)
        else if (record.type === 'interest') step({ type: 'interest', room: record.room })
      }
    },
    onResync: (lane) => step({ type: 'resync', lane }),
    check: (nowMs) => step({ type: 'tick' }, nowMs),
  }
}

type PresenceFrame = Extract<ServerFrame, { type: 'presence' }>

function frameOf(room: string, { count, members, joined, changed, left }: PresenceNews): PresenceFrame {
  return {
    ...{ type: 'presence', room, count },
    ...(members === undefined ? {} : { members: members === null ? null : members.map(viewOf) }),
    ...(joined === undefined ? {} : { joined: joined.map(viewOf) }),
    ...(changed === undefined ? {} : { changed: changed.map(viewOf) }),
    ...(left === undefined
      ? {}
      : { left: left.map(({ user, lastMs }) => ({ userId: user, lastSeen: new Date(lastMs).toISOString() })) }),
  }
}
