import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { tool } from '../../scripts/toolkit.mjs'

export const chart = join(import.meta.dirname, '../../helm/flotilla')
export const scenarios = ['default', 'ha', 'nlb', 'keda', 'external-redis', 'restricted'] as const
export type Scenario = (typeof scenarios)[number]

/** A manifest, or a part of one. */
// oxlint-disable-next-line typescript/no-explicit-any -- of a hundred shapes, which the API server knows
export type Manifest = any

export interface Rendered {
  readonly ok: boolean
  readonly error: string
  readonly text: string
  readonly objects: readonly Manifest[]
  /** The only object of this kind whose name ends so. */
  one(kind: string, suffix?: string): Manifest
  all(kind: string): Manifest[]
}

/** What the chart makes of a values file of its own (`ci/`) and of `--set`. */
export function render(scenario: Scenario, sets: readonly string[] = []): Rendered {
  const args = ['template', 'x', chart, '--namespace', 'fleet', '--values', join(chart, `ci/${scenario}-values.yaml`)]
  const { status, stdout, stderr } = spawnSync(
    tool('helm'),
    [...args, ...sets.flatMap((each) => ['--set-json', each])],
    {
      encoding: 'utf8',
    },
  )
  const objects: Manifest[] =
    status === 0
      ? parseAllDocuments(stdout)
          .map((each) => each.toJS())
          .filter(Boolean)
      : []
  const all = (kind: string): Manifest[] => objects.filter((each) => each.kind === kind)
  return {
    ...{ ok: status === 0, error: stderr, text: stdout, objects, all },
    one: (kind, suffix = '') => {
      const found = all(kind).filter((each) => each.metadata.name.endsWith(suffix))
      if (found.length !== 1) throw new Error(`${found.length} of ${kind} ${suffix}`)
      return found[0]
    },
  }
}

/** The pod templates of all workloads, with the objects that make them. */
export function podsOf({
  objects,
}: Rendered): { readonly owner: Manifest; readonly metadata: Manifest; readonly spec: Manifest }[] {
  return objects.flatMap((owner) => {
    if (owner.kind === 'Pod') return [{ owner, metadata: owner.metadata, spec: owner.spec }]
    const template = owner.spec?.template
    return template === undefined ? [] : [{ owner, metadata: template.metadata, spec: template.spec }]
  })
}
