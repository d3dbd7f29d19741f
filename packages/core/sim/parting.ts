import type { World } from './world.ts'

/** A frame is under way for so long at the most, ms. */
const frameMs = 10

/** A client's connection was closed by its edge. `toldAtMs`: when the client was told to move, if it was. */
export function noteClosed(
  { drains, network, record }: World,
  who: { readonly name: string; readonly isOld: boolean; readonly toldAtMs: number | undefined },
): void {
  if (drains?.calm === undefined) return
  const { name, isOld, toldAtMs = Infinity } = who
  const hadTime = network.clock.now - toldAtMs > drains.calm.graceMs - frameMs
  if (!isOld || !hadTime) record.parted.push(`${name} was disconnected at ${network.clock.now}, told at ${toldAtMs}`)
}
