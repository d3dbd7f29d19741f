import { parsePolicy } from '@flotilla/core/policy-file'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { podsOf, render } from './render.ts'
import type { Manifest } from './render.ts'

const folder = '/etc/flotilla/policy'
const withPolicy = (pods: readonly { owner: Manifest; spec: Manifest }[]): Record<string, boolean> =>
  Object.fromEntries(
    pods.map(({ owner, spec }) => [
      owner.metadata.name,
      spec.containers[0].env?.some(({ name }: Manifest) => name === 'FLOTILLA_POLICY_FILE') === true,
    ]),
  )

test('[HC20] the policy is a file of edges, workers and ingest, as it stands in the values', () => {
  const chart = render('ha')
  const { data } = chart.one('ConfigMap', '-policy')
  const parsed = parsePolicy(parse(data['policy.yaml']))
  expect(parsed.ok && parsed.policy.types.get('deal')?.history).toEqual({ events: 50_000, ageMs: 86_400_000 })
  const pods = podsOf(chart)
  expect(withPolicy(pods)).toMatchObject({
    'x-flotilla-edge': true,
    'x-flotilla-shard': true,
    'x-flotilla-ingest': true,
  })
  expect(Object.values(withPolicy(pods)).filter(Boolean)).toHaveLength(3)
  for (const { spec } of pods.filter((pod) => withPolicy([pod])[pod.owner.metadata.name] === true)) {
    const [container] = spec.containers
    expect(container.env).toContainEqual({ name: 'FLOTILLA_POLICY_FILE', value: `${folder}/policy.yaml` })
    // With a subPath the file would stay as it was when the pod began.
    expect(container.volumeMounts).toEqual([{ name: 'policy', mountPath: folder, readOnly: true }])
    expect(spec.volumes).toEqual([{ name: 'policy', configMap: { name: 'x-flotilla-policy' } }])
  }
})

test('[HC20] without one there is no such file', () => {
  const chart = render('default')
  expect(chart.all('ConfigMap').filter(({ metadata }) => metadata.name.endsWith('-policy'))).toEqual([])
  expect(Object.values(withPolicy(podsOf(chart)))).not.toContain(true)
})
