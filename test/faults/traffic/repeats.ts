import { connect } from '@flotilla/client'
import type { Client } from '@flotilla/client'
import { dedupeMs } from '@flotilla/core/limits'
import { WebSocket } from 'ws'
import type { Random } from '../../../packages/core/sim/random.ts'
import type { Line } from '../history.ts'
import type { Recorder } from '../recorder.ts'
import { tokenOf } from './library-client.ts'
import { postAgain, publishAgain } from './publishers.ts'
import type { Message, PublisherDeps } from './publishers.ts'
import { edgeOf, nameOf } from './traffic.ts'
import type { Traffic } from './traffic.ts'

/** Of what was acknowledged this share is published again, and of what there was before the fault at least so many, as of the rest. */
const share = 0.01
const atLeast = 20
/** What began so long ago is surely remembered when its repeat arrives, ms. */
const rememberedMs = dedupeMs - 20_000
const perPost = 100

/** The parts of a world that it needs. */
export interface Repeating {
  readonly recorder: Recorder
  readonly random: Random
  readonly traffic: Traffic
  readonly fleet: {
    readonly edges: readonly { readonly name: string; readonly port: number }[]
    readonly ingests: readonly { readonly port: number }[]
  }
  /** Whether every user may have one connection only. */
  readonly limited: boolean
}

/**
 * Publishes some of what was acknowledged once more, as its sender and under its key: of a library client through another edge where
 * its user may have a second connection, else through its own. Resolves when each has its answer.
 */
export async function repeatSome(world: Repeating, padding: string): Promise<void> {
  const { recorder, random, fleet, traffic } = world
  const deps: PublisherDeps = { recorder, random, padding }
  const chosen = choose(recorder.lines, random)
  const posted = chosen.filter(({ by }) => by === 'ingest')
  const batches = Array.from({ length: Math.ceil(posted.length / perPost) }, (_, i) =>
    posted.slice(i * perPost, (i + 1) * perPost),
  )
  await Promise.all([
    ...batches.map((batch) => postAgain(random.pick(fleet.ingests).port, batch, deps)),
    ...traffic.library.map((client, i) => repeatAs(world, { client, name: nameOf('library', i) }, { chosen, deps })),
  ])
}

interface Sent extends Message {
  readonly by: string
}

async function repeatAs(
  world: Repeating,
  { client, name }: { client: Client; name: string },
  { chosen, deps }: { chosen: readonly Sent[]; deps: PublisherDeps },
): Promise<void> {
  const own = chosen.filter(({ by }) => by === name)
  if (own.length === 0) return
  const at = edgeOf(client.session?.connectionId ?? '')
  const others = world.fleet.edges.filter((edge) => edge.name !== at)
  const other = world.limited || others.length === 0 ? undefined : world.random.pick(others)
  const through = other === undefined ? client : await openAt(other.port, name)
  const by = `${name} at ${other?.name ?? at}`
  try {
    await Promise.all(own.map((message) => publishAgain(through, { ...message, by }, deps)))
  } finally {
    if (through !== client) through.close()
  }
}

/** Another connection of a user. */
const openAt = (port: number, name: string): Promise<Client> =>
  connect({ url: `ws://127.0.0.1:${port}/ws`, token: tokenOf(name), WebSocket, log: () => undefined })

/** From before the fault and from later on. */
export function choose(lines: readonly Line[], random: Random): Sent[] {
  const now = lines.at(-1)?.t ?? 0
  const injectedAt = lines.find((line) => line.type === 'fault')?.t ?? now
  const begun = new Map<string, Sent & { readonly t: number }>()
  const acknowledged = new Map<string, Sent & { readonly t: number }>()
  for (const line of lines) {
    if (line.type === 'invoke') begun.set(line.id, line)
    const sent = line.type === 'ok' ? begun.get(line.id) : undefined
    if (sent !== undefined && sent.t >= now - rememberedMs) acknowledged.set(sent.id, sent)
  }
  const all = [...acknowledged.values()]
  const groups = [all.filter(({ t }) => t < injectedAt), all.filter(({ t }) => t >= injectedAt)]
  return groups.flatMap((group) => sample(group, Math.max(atLeast, Math.round(group.length * share)), random))
}

/** As many different ones, or all if there are fewer. */
function sample<T>(items: readonly T[], count: number, random: Random): T[] {
  const left = [...items]
  const taken: T[] = []
  while (taken.length < count && left.length > 0) taken.push(...left.splice(random.int(0, left.length - 1), 1))
  return taken
}
