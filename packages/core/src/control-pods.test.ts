import { describe, expect, test } from 'vitest'
import { bootsToDrain, maxDrainRequests, requestDrain } from './control-drains.ts'
import { goneHoldsMs } from './control-pods.ts'
import type { PodState } from './control-pods.ts'
import { controlPollMs, startControl, stepControl } from './control.ts'
import type { ControlInput } from './control.ts'
import { endpointDeadMs, endpointHeartbeatMs, workerDeadMs, workerHeartbeatMs } from './limits.ts'
import type { Member, Role } from './plan.ts'

/** A control process that reads the members of the test, whose beats advance while they are not silent. */
function control() {
  let state = startControl(2)
  let nowMs = 1_000
  let beat = 0
  const members = new Map<string, Member>()
  const silent = new Set<string>()
  const feed = (input: ControlInput): void => void (state = stepControl(state, input, nowMs).state)
  const join = (boot: string, more: Partial<Member> = {}): void => {
    members.set(boot, { boot, role: 'shard', state: 'live', beat: 0, startedAtMs: 1, version: '1', ...more })
  }
  const read = (ms = controlPollMs): void => {
    for (let passed = 0; passed < ms; passed += controlPollMs) {
      nowMs += controlPollMs
      beat += 1
      for (const [boot, member] of members) if (!silent.has(boot)) members.set(boot, { ...member, beat })
      feed({ type: 'observed', members: [...members.values()], plan: null, runs: ['r'] })
    }
  }
  const pods = (...all: readonly (readonly [string, string] | readonly [string, string, 'leaving'])[]): void => {
    const states = all.map(([name, uid, leaving]): [string, PodState] => [
      name,
      { uid, leaving: leaving !== undefined },
    ])
    feed({ type: 'pods', pods: new Map(states) })
  }
  return {
    ...{ feed, join, read, pods, silence: (boot: string) => void silent.add(boot) },
    leave: (boot: string) => void members.delete(boot),
    isDrained: (boot: string) => state.drains.has(boot),
    isDead: (boot: string) => state.sightings.get(boot)?.dead,
    marked: () => [...state.platform.gone.keys()],
  }
}

describe('pods that are to end', () => {
  test('[KB10] a process is drained while its pod is to end, and who comes later under the name is not', () => {
    const { join, read, pods, isDrained } = control()
    join('shard-0#old')
    read()
    pods(['shard-0', 'u1'])
    expect(isDrained('shard-0#old')).toBe(false)
    pods(['shard-0', 'u1', 'leaving'])
    read()
    expect(isDrained('shard-0#old')).toBe(true)
    // The watch is late: it does not say that the pod is gone, and its successor registers.
    join('shard-0#new')
    read()
    pods(['shard-0', 'u1', 'leaving'], ['shard-1', 'u9'])
    read()
    expect([isDrained('shard-0#old'), isDrained('shard-0#new')]).toEqual([true, false])
    pods(['shard-0', 'u2'])
    read(10_000)
    expect(isDrained('shard-0#new')).toBe(false)
    pods(['shard-0', 'u2', 'leaving'])
    read()
    expect(isDrained('shard-0#new')).toBe(true)
  })

  test('[KB10] a watch that tells late of a pod drains its successor only until the pod is gone', () => {
    const { join, read, pods, isDrained } = control()
    pods(['shard-0', 'u1'])
    join('shard-0#new')
    read()
    pods(['shard-0', 'u1', 'leaving'])
    pods(['shard-0', 'u2'])
    read()
    expect(isDrained('shard-0#new')).toBe(false)
  })

  test('[KB10] a control process that has just started knows of what it finds at first', () => {
    const { join, read, pods, isDrained } = control()
    pods(['shard-0', 'u1', 'leaving'])
    join('shard-0#old')
    read()
    join('shard-0#new')
    read()
    expect([isDrained('shard-0#old'), isDrained('shard-0#new')]).toEqual([true, false])
  })
})

describe('pods that are gone', () => {
  const roles: readonly (readonly [Role, number, number])[] = [
    ['shard', 2 * workerHeartbeatMs, workerDeadMs],
    ['edge', 2 * endpointHeartbeatMs, endpointDeadMs],
  ]
  test.each(roles)(
    '[KB10] a silent %s is dead after twice its heartbeat, also when its name is back',
    (role, goneMs, deadMs) => {
      const { join, read, pods, silence, isDead } = control()
      for (const boot of ['x-0#old', 'x-1#kept']) join(boot, { role })
      read()
      pods(['x-0', 'u1'], ['x-1', 'u2'])
      for (const boot of ['x-0#old', 'x-1#kept']) silence(boot)
      pods(['x-1', 'u2'])
      pods(['x-0', 'u3'], ['x-1', 'u2'])
      join('x-0#new', { role })
      read(goneMs - controlPollMs)
      expect(isDead('x-0#old')).toBe(false)
      // Of the name, but not of the pod that went.
      silence('x-0#new')
      read()
      expect([isDead('x-0#old'), isDead('x-1#kept')]).toEqual([true, false])
      read(deadMs - 2 * controlPollMs)
      expect(isDead('x-0#new')).toBe(false)
      read()
      expect(isDead('x-0#new')).toBe(true)
    },
  )

  test('[KB10] one that goes on for long is of another pod, and one that is removed is forgotten', () => {
    const { join, read, pods, leave, marked, isDead } = control()
    for (const boot of ['shard-0#a', 'shard-1#b']) join(boot)
    read()
    pods(['shard-0', 'u1'], ['shard-1', 'u2'])
    // They came back while nobody watched.
    pods(['shard-0', 'u3'], ['shard-1', 'u4'])
    read()
    expect(marked()).toEqual(['shard-0#a', 'shard-1#b'])
    leave('shard-1#b')
    read(goneHoldsMs)
    expect([marked(), isDead('shard-0#a')]).toEqual([[], false])
  })
})

describe('a drain that was asked for', () => {
  test('[CT21] is of the process, whatever boot id it takes, and not of who follows under its name', () => {
    const { feed, join, read, leave, isDrained } = control()
    feed({ type: 'drainRequested', boot: 'edge-0#early' })
    join('edge-0#early', { role: 'edge' })
    read()
    expect(isDrained('edge-0#early')).toBe(true)
    leave('edge-0#early')
    read(2 * endpointDeadMs)
    join('edge-0#again', { role: 'edge' })
    join('edge-0#next', { role: 'edge', startedAtMs: 2 })
    read()
    expect([isDrained('edge-0#again'), isDrained('edge-0#next'), isDrained('edge-0#early')]).toEqual([
      true,
      false,
      false,
    ])
  })

  test('[CT21] is remembered with the newest thousand', () => {
    let requests: ReadonlySet<string> = new Set()
    for (let i = 0; i <= maxDrainRequests; i += 1) requests = requestDrain(requests, `edge-${i}#a`, new Map())
    expect([requests.size, requests.has('edge-0#a'), requests.has('edge-1000#a')]).toEqual([
      maxDrainRequests,
      false,
      true,
    ])
    expect(bootsToDrain(requests, new Set(), new Map())).toEqual(new Set())
  })
})
