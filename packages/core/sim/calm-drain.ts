import { whoStay } from './drains.ts'
import { rooms } from './fleet.ts'
import type { Fleet } from './fleet.ts'
import type { World } from './world.ts'

/** An edge that was added has registered within, ms. */
const enterMs = 2_000
/** Messages go on for so long, ms: longer than control takes to grant a pace, and the first clients to move. */
const busyMs = 8_000
const publishes = 10
/** Longer than an attempt to move, and the pause before the next one: whoever is told has time to move. */
const ampleGraceMs = 6_000
/** Longer than all clients need at the slowest pace. */
const ampleTimeoutMs = 90_000

/**
 * When all has come to rest an edge drains once more, and has the time that it needs. Nothing else is amiss, so nobody may lose a connection
 * by it. Returns when messages have gone on for a while.
 */
export function drainInCalm(world: World, fleet: Fleet, { publishing }: { readonly publishing: boolean }): void {
  const { drains, network, record } = world
  if (drains === undefined) return
  const { clock } = network
  if (whoStay(fleet).length < 2) {
    fleet.addEdge()
    clock.run(clock.now + enterMs)
  }
  const staying = whoStay(fleet)
  if (staying.length < 2) return void record.parted.push('no second edge came')
  world.log('in the calm an edge drains')
  world.reach('drained in the calm')
  drains.calm = { ...drains.limits, timeoutMs: ampleTimeoutMs, graceMs: ampleGraceMs }
  drains.random.pick(staying).drain()
  for (let i = 1; publishing && i <= publishes; i += 1)
    clock.at(clock.now + drains.random.int(0, busyMs), () =>
      drains.random.pick(fleet.clients).publish(drains.random.pick(rooms), `calm${i}`),
    )
  clock.run(clock.now + busyMs)
}

/** Of what was told in one second: no edge exceeds what it was granted, nor all together what the fleet may bear. */
export function overPace({ drains, record: { tells } }: World): string[] {
  const found: string[] = []
  if (drains === undefined) return found
  tells.forEach(({ atMs }, i) => {
    const second = tells.slice(i).filter((each) => each.atMs < atMs + 1_000)
    const granted = second.filter((each) => each.granted !== null)
    const boots = new Set(granted.map(({ boot }) => boot))
    // Each may tell one, however little it is granted.
    if (granted.length > Math.max(drains.reconnectsPerSecond, boots.size))
      found.push(`${granted.length} were told under grants in the second from ${atMs}, by ${boots.size} edges`)
    const { perSecond } = drains.limits
    for (const boot of new Set(second.map((each) => each.boot))) {
      const own = second.filter((each) => each.boot === boot)
      const most = Math.max(...own.map((each) => each.granted ?? perSecond + 1))
      if (own.length > most) found.push(`${boot} told ${own.length} in the second from ${atMs}, ${most} were allowed`)
    }
  })
  return found
}
