import { idOf } from './control-members.ts'
import type { Sightings } from './control-members.ts'

/** A pod as far as control decides by it. */
export interface PodState {
  readonly uid: string
  /** It was asked to end. */
  readonly leaving: boolean
}
/** All that are there, by name, which is the id of the pod's process. */
export type Pods = ReadonlyMap<string, PodState>

/**
 * What the platform (Kubernetes) says, and which processes it means. A pod of a StatefulSet that goes is followed by one of the same name, and
 * a watch may tell of that late: so what is said of a name counts for the boots that were known when it was said, and for none that come later.
 */
export interface Platform {
  readonly pods: Pods
  /** Boots whose pod is to end, with the pod's uid: while it is there they are drained. */
  readonly leaving: ReadonlyMap<string, string>
  /** Boots whose pod is gone, and since when so. */
  readonly gone: ReadonlyMap<string, number>
}
export const nothingKnown: Platform = { pods: new Map(), leaving: new Map(), gone: new Map() }

/** One that beats so long after its pod went is of another pod, ms: Kubernetes gives a pod 30 s to end where nothing else is said. */
export const goneHoldsMs = 30_000

/** The pods that are there now; `known`: the boots that control has seen until now. */
export function hearPods(before: Platform, pods: Pods, known: Iterable<string>, nowMs: number): Platform {
  const leaving = new Map<string, string>()
  const gone = new Map<string, number>()
  for (const boot of known) {
    const [was, is] = [before.pods.get(idOf(boot)), pods.get(idOf(boot))]
    const isNew = was?.uid !== is?.uid || was?.leaving !== is?.leaving
    if (is?.leaving === true && (isNew || before.leaving.get(boot) === is.uid)) leaving.set(boot, is.uid)
    const goneAtMs = was !== undefined && was.uid !== is?.uid ? nowMs : before.gone.get(boot)
    if (goneAtMs !== undefined) gone.set(boot, goneAtMs)
  }
  return { pods, leaving, gone }
}

/** Pods were heard of before the fleet was read for the first time: what they say is of the boots that were found then. */
export function hearLate({ pods }: Platform, known: Iterable<string>, nowMs: number): Platform {
  return hearPods(nothingKnown, pods, known, nowMs)
}

/** Without the boots that are no more, and those that live although a pod of their name went. */
export function forgetGone(platform: Platform, before: Sightings, after: Sightings, nowMs: number): Platform {
  if (platform.gone.size === 0) return platform
  const beatOf = (sightings: Sightings, boot: string): number => sightings.get(boot)?.member?.beat ?? 0
  const isMeant = ([boot, goneAtMs]: readonly [string, number]): boolean => {
    const lives = beatOf(after, boot) > beatOf(before, boot) && nowMs - goneAtMs > goneHoldsMs
    return after.has(boot) && !lives
  }
  return { ...platform, gone: new Map([...platform.gone].filter(isMeant)) }
}
