import { afterAll, expect, test } from 'vitest'
import { workerDeadMs } from '@flotilla/core/limits'
import type { Member, Role } from '@flotilla/core/plan'
import { wait } from '@flotilla/node/backoff'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import type { Metrics } from '@flotilla/node/metrics'
import { createScope } from '@flotilla/node/scope'
import type { Scope } from '@flotilla/node/scope'
import { createMemoryStore } from '@flotilla/node/store/memory'
import { StoreError } from '@flotilla/node/store/port'
import type { Store } from '@flotilla/node/store/port'
import { startControl } from './control.ts'
import type { Control } from './control.ts'

const log = createLog({ service: 'test', level: 'silent' })
const slots = 16
const testMs = 40_000
const scopes: Scope[] = []

// The tests wait for real time and run side by side.
afterAll(async () => {
  await Promise.all(scopes.splice(0).map((scope) => scope.close()))
})

function openScope(): Scope {
  const scope = createScope(log)
  scopes.push(scope)
  return scope
}

/** The memory store behind a connection that can be cut: calls are refused meanwhile, as by a client without a server. */
function cuttable(): { store: Store; cut(away: boolean): void } {
  const memory = createMemoryStore({ slots, lanes: 2 })
  let away = false
  const guard = <T extends object>(part: T): T =>
    new Proxy(part, {
      get: (target, name): unknown => {
        const member: unknown = Reflect.get(target, name)
        if (typeof member !== 'function') return member
        return (...args: unknown[]): unknown =>
          away ? Promise.reject(new StoreError('refused', 'cut off')) : Reflect.apply(member, target, args)
      },
    })
  const store = { ...memory, fleet: guard(memory.fleet), outboxes: guard(memory.outboxes) }
  return { store, cut: (value) => (away = value) }
}

interface Running extends Control {
  readonly metrics: Metrics
  /** Ends it as a crash does: nothing is given up. */
  kill(): Promise<void>
}

async function runControl(store: Store, memberId = 'control-1'): Promise<Running> {
  const scope = openScope()
  const metrics = createMetrics({ service: 'control' })
  const options = { memberId, version: '0.1.0', host: '127.0.0.1', port: 0 }
  const control = await startControl(options, { store, log, scope, metrics })
  return Object.assign(control, { metrics, kill: () => scope.close() })
}

interface FakeMember {
  readonly boot: string
  state: Member['state']
  known: boolean
  kill(): void
}

/** A member as its heartbeat shows it: workers own at once whatever the plan gives them. */
function runMember(store: Store, boot: string, role: Role = 'shard'): FakeMember {
  const scope = openScope()
  let beat = 0
  let version = 0
  let owned: Record<string, number> = {}
  const fake: FakeMember = { boot, state: 'live', known: true, kill: () => stop() }
  const record = (): Member => ({ boot, role, state: fake.state, beat, owned, startedAtMs: 0, version: '0.1.0' })
  const stop = scope.every(100, async () => {
    beat += 1
    const answer = await store.fleet.heartbeat(record(), version).catch(() => undefined)
    if (answer === undefined) return
    fake.known = answer.known
    if (!answer.known && beat === 1) await store.fleet.register(record())
    if (answer.plan === undefined) return
    version = answer.plan.version
    owned = {}
    answer.plan.slots.forEach((assignment, slot) => {
      if (assignment?.worker === boot) owned[slot] = assignment.epoch
    })
  })
  return fake
}

async function until(condition: () => boolean | Promise<boolean>, what: string, deadlineMs = 12_000): Promise<void> {
  const end = performance.now() + deadlineMs
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await wait(20)
  }
}

function slotsOf(control: Control, worker: string): number {
  return control.view().plan.slots[worker]?.length ?? 0
}

function settled(control: Control, ...workers: FakeMember[]): boolean {
  const { plan } = control.view()
  const owned = workers.reduce((sum, { boot }) => sum + slotsOf(control, boot), 0)
  return owned === slots && plan.inFlight.length === 0 && plan.orphans.length === 0
}

async function movesOf(control: Running, reason: string): Promise<number> {
  const { body } = await control.metrics.render()
  const line = body
    .split('\n')
    .find((each) => each.startsWith('flotilla_control_moves_total') && each.includes(`"${reason}"`))
  return Number(line?.split(' ').at(-1) ?? 0)
}

test.concurrent(
  '[CT8] two controls: one leads, and when it is killed the other does, with the same plan',
  { timeout: testMs },
  async () => {
    const { store } = cuttable()
    const controls = [await runControl(store, 'control-1'), await runControl(store, 'control-2')]
    const workers = [runMember(store, 'shard-1#a'), runMember(store, 'shard-2#b')]
    await until(() => controls.every((each) => settled(each, ...workers)), 'all slots are served')
    expect(controls.filter((each) => each.leading)).toHaveLength(1)
    const [leader, other] = controls[0]?.leading === true ? controls : controls.toReversed()
    if (leader === undefined || other === undefined) throw new Error('two controls were started')
    await until(() => other.view().leader === leader.boot, 'the other names the leader')
    const { plan } = other.view()
    await leader.kill()
    await until(() => other.leading, 'the other leads')
    expect(other.view().plan.slots).toEqual(plan.slots)
    workers[0]?.kill()
    await until(() => slotsOf(other, 'shard-2#b') === slots, 'the other moves slots')
  },
)

test.concurrent(
  '[CT16] a leader that stops gives up the lease and its record at once',
  { timeout: testMs },
  async () => {
    const { store } = cuttable()
    const first = await runControl(store, 'control-1')
    await until(() => first.leading, 'it leads')
    await until(async () => (await store.fleet.read()).members.length === 1, 'its record is there')
    await first.stop()
    expect((await store.fleet.read()).members).toEqual([])
    expect(await store.fleet.lead('control-2#b', 1)).toBe(true)
  },
)

test.concurrent(
  '[CT2] a worker whose heartbeat stops loses its slots and its record',
  { timeout: testMs },
  async () => {
    const { store } = cuttable()
    const control = await runControl(store)
    const workers = [
      runMember(store, 'shard-1#a'),
      runMember(store, 'shard-2#b'),
      runMember(store, 'shard-3#c'),
    ] as const
    await until(() => settled(control, ...workers), 'all slots are served')
    const lost = slotsOf(control, 'shard-1#a')
    const atMs = performance.now()
    workers[0].kill()
    await until(() => settled(control, workers[1], workers[2]), 'the survivors serve all')
    expect(performance.now() - atMs).toBeGreaterThan(workerDeadMs - 500)
    expect(await movesOf(control, 'orphan')).toBe(slots + lost)
    await until(
      async () => !(await store.fleet.read()).members.some(({ boot }) => boot === 'shard-1#a'),
      'its record is gone',
    )
  },
)

test.concurrent('[CT9] a dead edge loses its outboxes and its record', { timeout: testMs }, async () => {
  const { store } = cuttable()
  const control = await runControl(store)
  const edge = runMember(store, 'edge-1#a', 'edge')
  await store.outboxes.open(0, 'edge-1#a')
  await store.outboxes.open(1, 'edge-1#a')
  await until(() => control.view().members.some(({ boot }) => boot === 'edge-1#a'), 'it is a member')
  edge.kill()
  await until(() => !control.view().members.some(({ boot }) => boot === 'edge-1#a'), 'it is gone')
  const options = { blockMs: 1, count: 1, signal: new AbortController().signal }
  expect((await store.outboxes.read(0, 'edge-1#a', '0-0', options)).exists).toBe(false)
  expect((await store.outboxes.read(1, 'edge-1#a', '0-0', options)).exists).toBe(false)
})

test.concurrent('[CT3] while the store is away and right after nobody is dead', { timeout: testMs }, async () => {
  const { store, cut } = cuttable()
  const control = await runControl(store)
  const workers = [runMember(store, 'shard-1#a'), runMember(store, 'shard-2#b')] as const
  await until(() => settled(control, ...workers), 'all slots are served')
  const orphans = await movesOf(control, 'orphan')
  cut(true)
  const awayMs = workerDeadMs + 1_000
  await until(() => (control.view().observedMsAgo ?? 0) > awayMs, 'the store was away for long')
  expect(control.ready().ok).toBe(false)
  cut(false)
  await until(() => control.leading && control.ready().ok, 'it leads again')
  const { version } = control.view().plan
  await until(() => control.view().members.every(({ ageMs }) => ageMs < 1_000), 'everybody is heard of')
  expect(settled(control, ...workers)).toBe(true)
  expect(await movesOf(control, 'orphan')).toBe(orphans)
  expect(control.view().plan.version).toBe(version)
  expect(workers.every(({ known }) => known)).toBe(true)
})

test.concurrent(
  '[CT10] a draining worker is emptied into the newcomer, also when control is asked to',
  { timeout: testMs },
  async () => {
    const { store } = cuttable()
    const control = await runControl(store)
    const first = runMember(store, 'shard-1#a')
    await until(() => settled(control, first), 'the first serves all')
    const second = runMember(store, 'shard-2#b')
    await until(() => control.view().members.some(({ boot }) => boot === second.boot), 'the second joined')
    first.state = 'draining'
    await until(() => settled(control, second), 'the second serves all')
    const third = runMember(store, 'shard-3#c')
    await until(() => control.view().members.some(({ boot }) => boot === third.boot), 'the third joined')
    control.drain(second.boot)
    await until(() => settled(control, third), 'the third serves all')
    expect(await movesOf(control, 'drain')).toBe(2 * slots)
  },
)

test.concurrent(
  '[CT14] GET /v1/fleet shows plan, members and runs, and everything else is a problem',
  { timeout: testMs },
  async () => {
    const { store } = cuttable()
    const control = await runControl(store)
    const worker = runMember(store, 'shard-1#a')
    await until(() => settled(control, worker) && control.view().members.length === 2, 'all slots are served')
    const base = `http://127.0.0.1:${control.port}`
    const response = await fetch(`${base}/v1/fleet`)
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({
      version: '0.1.0',
      leader: control.boot,
      plan: { slots: { 'shard-1#a': Array.from({ length: slots }, (_, slot) => slot) }, inFlight: [], orphans: [] },
      members: [
        { id: 'control-1', boot: control.boot, role: 'control', state: 'live' },
        { id: 'shard-1', boot: 'shard-1#a', role: 'shard', state: 'live', figures: {} },
      ],
      runs: [expect.any(String)],
    })
    const missing = await fetch(`${base}/v1/other`)
    expect(missing.status).toBe(404)
    expect(missing.headers.get('content-type')).toContain('application/problem+json')
    expect((await fetch(`${base}/v1/fleet`, { method: 'POST' })).status).toBe(404)
  },
)

test.concurrent(
  '[CT21] a control process that does not lead names the one that does',
  { timeout: testMs },
  async () => {
    const { store } = cuttable()
    const leader = await runControl(store)
    const worker = runMember(store, 'shard-1#a')
    await until(() => settled(leader, worker), 'all slots are served')
    const other = await runControl(store, 'control-2')
    await until(() => other.view().leader === leader.boot && other.view().members.length === 3, 'the other sees all')
    const response = await fetch(`http://127.0.0.1:${other.port}/v1/members/shard-1/drain`, { method: 'POST' })
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({ code: 'OVERLOADED', detail: expect.stringContaining(leader.boot) })
  },
)

test.concurrent('[CT15] without a store it is not ready and says so, and then it is', { timeout: testMs }, async () => {
  const { store, cut } = cuttable()
  cut(true)
  const control = await runControl(store)
  const base = `http://127.0.0.1:${control.port}`
  const response = await fetch(`${base}/v1/fleet`)
  expect(response.status).toBe(503)
  expect(await response.json()).toMatchObject({ code: 'OVERLOADED', retryAfterMs: 1_000 })
  expect(control.ready().ok).toBe(false)
  cut(false)
  await until(() => control.ready().ok, 'it is ready')
  expect((await fetch(`${base}/v1/fleet`)).status).toBe(200)
})

test.concurrent(
  '[CT25] GET /v1/health: 200 while all is well, 503 with the reason while the store is away (OP4)',
  { timeout: testMs },
  async () => {
    const { store, cut } = cuttable()
    const control = await runControl(store)
    const worker = runMember(store, 'shard-1#a')
    runMember(store, 'edge-1#a', 'edge')
    await until(() => settled(control, worker) && control.view().members.length === 3, 'all slots are served')
    const url = `http://127.0.0.1:${control.port}/v1/health`
    const well = await fetch(url)
    expect(well.status).toBe(200)
    expect(await well.json()).toMatchObject({
      status: 'idle',
      redis: { reachable: true },
      leader: control.boot,
      fleet: { edges: { live: 1 }, workers: { live: 1 }, slots: { total: slots, served: slots, unserved: 0 } },
    })
    cut(true)
    await until(async () => (await fetch(url)).status === 503, 'it is degraded')
    const body: unknown = await (await fetch(url)).json()
    expect(body).toMatchObject({ status: 'degraded', redis: { reachable: false } })
    expect(body).toHaveProperty('reasons', expect.arrayContaining(['Redis does not answer']))
    cut(false)
    await until(async () => (await fetch(url)).status === 200, 'it is well again')
  },
)

test.concurrent(
  '[CT11] a stored plan for another number of slots: not ready, and the plan stays',
  { timeout: testMs },
  async () => {
    const { store } = cuttable()
    await store.fleet.lead('control-0#z', 50)
    const plan = { version: 5, slots: [null, null], runs: [] }
    expect(await store.fleet.publishPlan('control-0#z', plan)).toBe(true)
    const control = await runControl(store)
    runMember(store, 'shard-1#a')
    await until(() => control.leading && control.view().observedMsAgo !== null, 'it leads')
    expect(control.ready()).toEqual({ ok: false, detail: 'the stored plan has another number of slots' })
    expect((await store.fleet.read()).plan).toEqual(plan)
  },
)
