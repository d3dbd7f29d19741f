import { describe, expect, test, vi } from 'vitest'
import type { TestContext } from 'vitest'
import { epochsInHand } from '@flotilla/core/lease'
import type { Member, Role } from '@flotilla/core/plan'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { createScope } from '@flotilla/node/scope'
import type { Scope } from '@flotilla/node/scope'
import { createMemoryStore } from '@flotilla/node/store/memory'
import type { Store } from '@flotilla/node/store/port'
import { startApiServer } from '../../test/api-server.ts'
import type { ApiServer } from '../../test/api-server.ts'
import { startControl } from '../control.ts'
import type { Control } from '../control.ts'
import { createApi } from './client.ts'
import { kubernetesLeadership } from './leadership.ts'
import { leasesOf } from './leases.ts'
import { joinPlatform } from './platform.ts'

const log = createLog({ service: 'test', level: 'silent' })
const slots = 8

const until = (holds: () => boolean | Promise<boolean>, timeout = 15_000) =>
  vi.waitUntil(holds, { timeout, interval: 20 })

/** An API server, a store and the processes of one test: most tests wait for leases to pass, and do so side by side. */
async function createRig({ onTestFinished }: TestContext) {
  const server: ApiServer = await startApiServer()
  const store: Store = createMemoryStore({ slots, lanes: 1 })
  const scopes: Scope[] = []
  onTestFinished(async () => {
    for (const scope of scopes.toReversed()) await scope.close()
    await server.close()
  })

  /** A control process that is killed by closing its scope. */
  async function run(memberId: string): Promise<Control & { kill(): Promise<void> }> {
    const scope = createScope(log)
    scopes.push(scope)
    const api = createApi(server.url, 'fleet')
    const options = { memberId, version: '0', host: '127.0.0.1', port: 0 }
    const control = await startControl(options, {
      ...{ store, log, scope, metrics: createMetrics({ service: 'control' }) },
      leadership: (boot, metrics) =>
        kubernetesLeadership(boot, { store, leases: leasesOf(api, 'flotilla'), log, scope, metrics }),
    })
    const selector = 'app.kubernetes.io/name=flotilla'
    joinPlatform({ api, selector, control, log, scope, metrics: control.counters })
    return Object.assign(control, { kill: () => scope.close() })
  }

  /** A member that heartbeats, and reports as owned what the plan gives it. */
  function member(
    id: string,
    role: Role = 'shard',
    figures: Record<string, number> = {},
  ): { boot: string; kill(): void } {
    const scope = createScope(log)
    scopes.push(scope)
    const boot = `${id}#a${scopes.length}`
    let [beat, owned]: [number, Record<string, number>] = [0, {}]
    const record = (): Member => ({
      boot,
      role,
      state: 'live',
      beat: (beat += 1),
      owned,
      figures,
      startedAtMs: 0,
      version: '0',
    })
    const turn = async (): Promise<void> => {
      const { plan, known } = await store.fleet.heartbeat(record(), 0)
      if (!known) await store.fleet.register(record())
      const mine = (plan?.slots ?? []).flatMap((each, slot) =>
        each?.worker === boot ? [[slot, each.epoch] as const] : [],
      )
      owned = Object.fromEntries(mine)
    }
    scope.every(200, turn)
    return { boot, kill: () => void scope.close() }
  }

  return { server, store, run, member }
}

const ownedBy = (control: Control, { boot }: { readonly boot: string }): number =>
  control.view().plan.slots[boot]?.length ?? 0
const isSettled = (control: Control): boolean => {
  const { orphans, inFlight, slots: owned } = control.view().plan
  return Object.values(owned).flat().length === slots && orphans.length + inFlight.length === 0
}
const newestEpochOf = async (store: Store): Promise<number> =>
  Math.max(...((await store.fleet.read()).plan?.slots ?? []).map((each) => each?.epoch ?? 0))

describe.concurrent('control on Kubernetes', () => {
  test('[KB6] one of two leads by the Lease; when it is killed the other does, and plans of the first are refused', async (context) => {
    const { server, store, run, member } = await createRig(context)
    const [one, two] = [await run('control-1'), await run('control-2')]
    const worker = member('shard-0')
    await until(() => isSettled(one) || isSettled(two))
    const [leader, other] = one.leading ? [one, two] : [two, one]
    expect(other.leading).toBe(false)
    expect(server.lease('flotilla')?.spec).toMatchObject({ holderIdentity: leader.boot, leaseTransitions: 0 })
    const term = await store.fleet.lead('late#x', 1_000, 1)
    expect(term).toBe(false)
    await leader.kill()
    await until(() => other.leading, 6_000)
    expect(server.lease('flotilla')?.spec).toMatchObject({ holderIdentity: other.boot, leaseTransitions: 1 })
    expect(await store.fleet.lead(leader.boot, 1_000, 1)).toBe(false)
    const plan = (await store.fleet.read()).plan
    expect(await store.fleet.publishPlan(leader.boot, { ...(plan ?? { slots: [], runs: [] }), version: 1_000 })).toBe(
      false,
    )
    const before = await newestEpochOf(store)
    worker.kill()
    const next = member('shard-1')
    await until(() => ownedBy(other, next) === slots && isSettled(other))
    expect(await newestEpochOf(store)).toBeGreaterThan(before)
  })

  test('[KB7] a leader that is stopped gives the Lease up, and the next one leads at once', async (context) => {
    const { server, run } = await createRig(context)
    const [one, two] = [await run('control-1'), await run('control-2')]
    await until(() => one.leading || two.leading)
    const [leader, other] = one.leading ? [one, two] : [two, one]
    const stopped = performance.now()
    await leader.stop()
    expect(server.lease('flotilla')?.spec?.['holderIdentity']).toBe('')
    await until(() => other.leading)
    expect(performance.now() - stopped).toBeLessThan(2_500)
  })

  test('[KB7] also one that was just elected and has not heard of it', async (context) => {
    const { server, run } = await createRig(context)
    server.lateMs = 300
    const control = await run('control-1')
    await until(() => server.lease('flotilla') !== undefined)
    expect(control.leading).toBe(false)
    await control.stop()
    expect(server.lease('flotilla')?.spec?.['holderIdentity']).toBe('')
  })

  test('[KB7] also while its renewal is under way, and while the store is away', async (context) => {
    const { server, store, run } = await createRig(context)
    const control = await run('control-1')
    await until(() => control.leading)
    server.lateMs = 300
    const { length } = server.asked
    await until(() => server.asked.slice(length).includes('PUT leases'))
    Object.assign(store.fleet, { lead: () => Promise.reject(new Error('away')) })
    await control.stop()
    expect(server.lease('flotilla')?.spec?.['holderIdentity']).toBe('')
    expect((await store.fleet.read()).members).toEqual([])
  })

  test('[KB6] the Lease keeps what others wrote into it, and a leader writes it without reading it first', async (context) => {
    const { server, run } = await createRig(context)
    const control = await run('control-1')
    await until(() => control.leading)
    server.changeLease('flotilla', ({ metadata, spec }) => {
      metadata.labels = { team: 'sea' }
      metadata.ownerReferences = [{ kind: 'Deployment', name: 'control' }]
      metadata.annotations = { ...metadata.annotations, note: 'keep' }
      Object.assign(spec ?? {}, { strategy: 'OldestEmulationVersion' })
    })
    const version = server.lease('flotilla')?.metadata.resourceVersion
    await until(() => server.lease('flotilla')?.metadata.resourceVersion !== version)
    const { length } = server.asked
    await until(() => server.asked.slice(length).filter((each) => each === 'PUT leases').length === 2)
    expect(server.asked.slice(length)).not.toContain('GET leases')
    const { metadata, spec } = server.lease('flotilla') ?? {}
    expect(metadata).toMatchObject({ labels: { team: 'sea' }, ownerReferences: [{ name: 'control' }] })
    expect(metadata?.annotations).toMatchObject({ note: 'keep', 'flotilla.dev/epochs': expect.any(String) })
    expect(spec).toMatchObject({ holderIdentity: control.boot, strategy: 'OldestEmulationVersion' })
  })

  test('[KB6] a renewal that hangs is given up after a second, and followed by another one', async (context) => {
    const { server, run } = await createRig(context)
    const control = await run('control-1')
    await until(() => control.leading)
    server.mood = 'hangs'
    const { length } = server.asked
    await until(() => server.asked.slice(length).filter((each) => each.endsWith('leases')).length === 3, 3_500)
  })

  test('[KB8] without the API and without epochs in hand a dead edge is seen dead and removed', async (context) => {
    const { server, store, run, member } = await createRig(context)
    const control = await run('control-1')
    const worker = member('shard-0')
    const edge = member('edge-0', 'edge')
    await until(() => isSettled(control) && control.view().members.length === 3)
    server.mood = 'hangs'
    // So far ahead that nothing in hand is above.
    await store.fleet.nextEpoch('other#a', 4_000_000_000, 1)
    worker.kill()
    const next = member('shard-1')
    edge.kill()
    await until(async () => !(await store.fleet.read()).members.some(({ boot }) => boot === edge.boot), 9_000)
    expect([ownedBy(control, next), control.leading]).toEqual([0, true])
    server.mood = 'well'
    await until(() => ownedBy(control, next) === slots && isSettled(control))
    expect(await newestEpochOf(store)).toBeGreaterThan(4_000_000_000)
  })

  test.for(['hangs', 'cuts', 409, 429, 500] as const)(
    '[KB8] while the API %s slots of a dead worker move all the same',
    async (mood, context) => {
      const { server, run, member } = await createRig(context)
      const control = await run('control-1')
      const [first, second] = [member('shard-0'), member('shard-1')]
      await until(() => isSettled(control) && ownedBy(control, first) > 0 && ownedBy(control, second) > 0)
      server.mood = mood
      first.kill()
      await until(() => ownedBy(control, second) === slots && isSettled(control))
      expect(control.leading).toBe(true)
      server.mood = 'well'
      await until(() => server.asked.at(-1) === 'PUT leases')
      expect(server.lease('flotilla')?.spec).toMatchObject({ holderIdentity: control.boot, leaseTransitions: 0 })
    },
  )

  test('[KB9] epochs are above those that the Lease names, and the Lease names them first', async (context) => {
    const { server, store, run, member } = await createRig(context)
    const first = await run('control-1')
    const worker = member('shard-0')
    await until(() => isSettled(first))
    const named = (): number => Number(server.lease('flotilla')?.metadata.annotations?.['flotilla.dev/epochs'])
    const before = named()
    expect(await newestEpochOf(store)).toBeLessThanOrEqual(before)
    expect(before - (await newestEpochOf(store))).toBeLessThanOrEqual(2 * epochsInHand)
    await first.stop()
    const second = await run('control-2')
    worker.kill()
    const next = member('shard-1')
    await until(() => ownedBy(second, next) === slots && isSettled(second))
    expect(await newestEpochOf(store)).toBeGreaterThan(before)
    expect(named()).toBeGreaterThanOrEqual(await newestEpochOf(store))
  })

  test('[KB9] where the Lease was deleted and who leads now never saw it, the store remembers', async (context) => {
    const { server, store, run, member } = await createRig(context)
    const first = await run('control-1')
    const worker = member('shard-0')
    await until(() => isSettled(first))
    await first.kill()
    worker.kill()
    server.deleteLease('flotilla')
    // Far above the clock, as after many terms; and of the last ones no plan and no member tells.
    const given = await store.fleet.nextEpoch(first.boot, 4_000_000_000, 1)
    const late = await run('control-2')
    const next = member('shard-1')
    await until(() => ownedBy(late, next) === slots && isSettled(late))
    const used = await newestEpochOf(store)
    expect(used).toBeGreaterThan(given)
    expect(Number(server.lease('flotilla')?.metadata.annotations?.['flotilla.dev/epochs'])).toBeGreaterThan(used)
  })
})

describe.concurrent('what pods say', () => {
  test('[KB10] a worker whose pod is to end is emptied at once, one whose pod is gone is dead when it is silent for 1.5 s', async (context) => {
    const { server, run, member } = await createRig(context)
    for (const name of ['shard-0', 'shard-1', 'shard-2']) server.addPod(name, 'shard')
    const control = await run('control-1')
    const [leaving, gone, stays] = [member('shard-0'), member('shard-1'), member('shard-2')]
    await until(() => isSettled(control) && [leaving, gone, stays].every((each) => ownedBy(control, each) > 0))
    server.changePod('shard-0', (pod) => (pod.metadata.deletionTimestamp = '2026-01-01T00:00:00Z'))
    await until(() => ownedBy(control, leaving) === 0)
    expect(control.view().members.find(({ boot }) => boot === leaving.boot)?.state).toBe('live')
    const killed = performance.now()
    gone.kill()
    server.deletePod('shard-1')
    await until(() => ownedBy(control, stays) === slots && isSettled(control))
    expect(performance.now() - killed).toBeLessThan(2_900)
  })

  test('[KB10] a pod that is gone says nothing of a process that lives', async (context) => {
    const { server, run, member } = await createRig(context)
    server.addPod('shard-0', 'shard')
    const control = await run('control-1')
    const worker = member('shard-0')
    await until(() => isSettled(control))
    const { version } = control.view().plan
    server.deletePod('shard-0')
    await until(() => server.watches() === 1)
    const seen = control.view().members.length
    const later = member('edge-9', 'edge')
    await until(
      () => control.view().members.length > seen && control.view().members.some(({ boot }) => boot === later.boot),
    )
    expect([ownedBy(control, worker), control.view().plan.version]).toEqual([slots, version])
  })
})
