import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { tool } from '../../scripts/toolkit.mjs'
import { render, scenarios } from './render.ts'

/** Kinds that operators bring: their schemas are not the API server's. */
const brought = ['HTTPRoute', 'PodMonitor', 'PrometheusRule', 'ScaledObject', 'ServiceMonitor']

interface Judged {
  readonly resources: readonly { readonly kind: string; readonly status: string; readonly msg: string }[]
}

/** What kubeconform has to say against the objects, by the schemas of a Kubernetes (scripts/kube-schemas.mjs). */
function judge(text: string): string[] {
  const schemas = join(import.meta.dirname, 'schemas/{{.ResourceKind}}{{.KindSuffix}}.json')
  const args = ['-strict', '-verbose', '-output', 'json', '-schema-location', schemas, '-skip', brought.join(',')]
  const { stdout } = spawnSync(tool('kubeconform'), args, { input: text, encoding: 'utf8' })
  const { resources } = JSON.parse(stdout) as Judged
  expect(resources.length).toBeGreaterThan(0)
  const isBrought = (kind: string): boolean => brought.includes(kind)
  return resources.flatMap(({ kind, status, msg }) => {
    const wanted = isBrought(kind) ? 'statusSkipped' : 'statusValid'
    return status === wanted ? [] : [`${kind}: ${status} ${msg}`]
  })
}

test.each(scenarios)(
  '[HC19] every object that ci/%s-values.yaml gives is what the API server says it is',
  (scenario) => {
    const { objects, text } = render(scenario)
    expect(judge(text)).toEqual([])
    expect(new Set(objects.map(({ kind }) => kind)).size).toBeGreaterThan(8)
  },
)

test('[HC19] a field that a kind has not, and one of another type, are found', () => {
  const { text } = render('default')
  const wrong = text.replace('minReadySeconds:', 'minimumReadySeconds:').replace(/replicas: \d+/, 'replicas: two')
  expect(wrong).not.toBe(text)
  expect(judge(wrong).join('\n')).toMatch(/minimumReadySeconds[^]*replicas|replicas[^]*minimumReadySeconds/)
})
