import { describe, expect, test } from 'vitest'
import type { ConnectionMessage, ConnectionOutcome } from './connection-entry.ts'
import { slotOf } from './slot.ts'
import { createUserConnections, stepUserConnections } from './user-connections.ts'
import type { UserConnectionsInput } from './user-connections.ts'

const shape = { slots: 8, lanes: 2 }
const room = 'user:ann'
const slot = slotOf(room, shape.slots)
const lane = slot % shape.lanes

/** Connections whose worker the test plays. */
function rig() {
  const state = createUserConnections({ shape, limit: 3, graceMs: 1_000 })
  const told: ConnectionMessage[] = []
  const heard: string[] = []
  const step = (input: UserConnectionsInput, nowMs = 0): void => {
    for (const effect of stepUserConnections(state, input, nowMs)) {
      if (effect.type === 'tell') told.push(effect.message)
      else heard.push(`${effect.connection} ${effect.type === 'registered' ? effect.outcome : effect.type}`)
    }
  }
  const open = (connection: string, replaces = ''): void => step({ type: 'open', connection, room, replaces })
  const closed = (connection: string): void => step({ type: 'closed', connection })
  const answer = (connection: string, outcome: ConnectionOutcome, nowMs = 0): void =>
    step({ type: 'connection', room, connection, outcome }, nowMs)
  const changes = (): string[] => told.splice(0).map((each) => `${each.connection} ${each.change}`)
  return { step, told, heard, open, closed, answer, changes }
}

describe('what an edge knows of its connections', () => {
  test('[UC9] after a loss of continuity, lost answers and under a new boot it tells of all, as kept where they were taken', () => {
    const { step, told, open, answer, changes, heard } = rig()
    open('c1')
    open('c2')
    answer('c1', 'taken')
    expect(told[0]).toEqual({ type: 'connection', room, connection: 'c1', change: 'open', replaces: '', limit: 3 })
    expect(changes()).toEqual(['c1 open', 'c2 open'])
    step({ type: 'reset', slot: (slot + 1) % shape.slots })
    step({ type: 'resync', lane: (lane + 1) % shape.lanes })
    expect(changes()).toEqual([])
    step({ type: 'reset', slot })
    expect(changes()).toEqual(['c1 kept', 'c2 open'])
    step({ type: 'resync', lane })
    expect(changes()).toEqual(['c1 kept', 'c2 open'])
    for (const id of ['c1', 'c2', 'c2']) answer(id, 'taken')
    expect(heard).toEqual(['c1 taken', 'c2 taken'])
  })

  test('[UC9] what was told again and is counted after it ended, was refused or replaced is sent off', () => {
    const { open, closed, answer, changes } = rig()
    for (const id of ['c1', 'c2', 'c3']) open(id)
    answer('c1', 'taken')
    answer('c2', 'taken')
    answer('c2', 'replaced')
    answer('c3', 'refused')
    closed('c1')
    changes()
    for (const id of ['c1', 'c2', 'c3']) answer(id, 'taken')
    expect(changes()).toEqual(['c1 closed', 'c2 closed', 'c3 closed'])
  })

  test('[UC9] asked again, a connection does not take a place by its ticket again; one that is open stays whatever it is told', () => {
    const { step, open, answer, told, heard, changes } = rig()
    open('c2', 'c1')
    expect(told).toMatchObject([{ change: 'open', replaces: 'c1' }])
    step({ type: 'resync', lane })
    expect(told.slice(1)).toMatchObject([{ change: 'open', replaces: '' }])
    answer('c2', 'taken')
    changes()
    answer('c2', 'refused')
    expect(changes()).toEqual(['c2 kept'])
    answer('c2', 'taken')
    expect([changes(), heard]).toEqual([[], ['c2 taken']])
  })

  test('[UC9] one that was told of again is sent off when it is refused or loses its place: its last answer may be lost', () => {
    const { step, open, answer, changes, closed } = rig()
    for (const id of ['c1', 'c2', 'c3']) open(id)
    answer('c1', 'taken')
    step({ type: 'resync', lane })
    expect(changes()).toEqual(['c1 open', 'c2 open', 'c3 open', 'c1 kept', 'c2 open', 'c3 open'])
    answer('c1', 'replaced')
    answer('c2', 'refused')
    expect(changes()).toEqual(['c1 closed', 'c2 closed'])
    closed('c1')
    expect(changes()).toEqual([])
  })

  test('[UC9] who ends is told of once, also before an answer; one that was refused or replaced is not', () => {
    const { open, closed, answer, changes, heard } = rig()
    for (const id of ['c1', 'c2', 'c3']) open(id)
    answer('c2', 'refused')
    answer('c3', 'taken')
    answer('c3', 'replaced')
    changes()
    for (const id of ['c1', 'c2', 'c3', 'c1']) closed(id)
    expect(changes()).toEqual(['c1 closed'])
    expect(heard).toEqual(['c2 refused', 'c3 taken', 'c3 replaced'])
  })

  test('[UC14] whose place was taken is closed when its grace is over, unless its client has left it before', () => {
    const { step, open, closed, answer, heard } = rig()
    for (const id of ['c1', 'c2']) {
      open(id)
      answer(id, 'taken')
      answer(id, 'replaced', 5_000)
    }
    closed('c1')
    heard.splice(0)
    step({ type: 'tick' }, 5_999)
    expect(heard).toEqual([])
    step({ type: 'tick' }, 6_000)
    expect(heard).toEqual(['c2 close'])
    closed('c2')
    step({ type: 'tick' }, 9_000)
    expect(heard).toEqual(['c2 close'])
  })

  test('[UC9] one that cannot be told of again is sent off: the worker may have counted it the first time', () => {
    const { step, open, heard, changes } = rig()
    open('c1')
    step({ type: 'resync', lane })
    changes()
    step({ type: 'untold', connection: 'c1' })
    expect([heard, changes()]).toEqual([['c1 unknown'], ['c1 closed']])
  })

  test('[UC9] one whose answer comes just when it cannot be told of again is open, and told of as that', () => {
    const { step, open, answer, heard, changes } = rig()
    open('c1')
    step({ type: 'resync', lane })
    changes()
    answer('c1', 'taken')
    step({ type: 'untold', connection: 'c1' })
    expect([heard, changes()]).toEqual([['c1 taken'], ['c1 kept']])
  })

  test('[UC11] one that could not be told of is forgotten, and counted later all the same it is sent off', () => {
    const { step, open, closed, answer, heard, changes } = rig()
    open('c1')
    step({ type: 'untold', connection: 'c1' })
    step({ type: 'untold', connection: 'c1' })
    expect(heard).toEqual(['c1 unknown'])
    changes()
    closed('c1')
    expect(changes()).toEqual([])
    answer('c1', 'taken')
    expect(changes()).toEqual(['c1 closed'])
  })
})
