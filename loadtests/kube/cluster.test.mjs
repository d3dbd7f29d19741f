import { expect, test } from 'vitest'
import { chooseCluster, imageValues } from './cluster.mjs'
import { stepsFor } from './steps.mjs'

test('a cluster that is not the toolkit’s is touched only when its context is named', () => {
  const [KUBECONFIG, FLOTILLA_E2E_CONTEXT, FLOTILLA_IMAGE] = ['config', 'trial', 'images.example.com:5000/flotilla:1']
  expect(chooseCluster({})).toEqual({ own: true })
  expect(() => chooseCluster({ KUBECONFIG })).toThrow(/FLOTILLA_E2E_CONTEXT/)
  expect(() => chooseCluster({ KUBECONFIG, FLOTILLA_IMAGE })).toThrow(/FLOTILLA_E2E_CONTEXT/)
  expect(() => chooseCluster({ KUBECONFIG, FLOTILLA_E2E_CONTEXT })).toThrow(/FLOTILLA_IMAGE/)
  expect(chooseCluster({ KUBECONFIG, FLOTILLA_E2E_CONTEXT, FLOTILLA_IMAGE })).toEqual({
    ...{ own: false, context: 'trial', image: FLOTILLA_IMAGE },
  })
})

test('an image is taken apart as the chart puts it together', () => {
  const digest = `sha256:${'0'.repeat(64)}`
  const values = (repository, tag, sum) => [
    ...[`image.repository="${repository}"`, `image.tag="${tag}"`, `image.digest="${sum}"`],
  ]
  expect(imageValues('images.example.com:5000/a/flotilla:1.2')).toEqual(
    values('images.example.com:5000/a/flotilla', '1.2', ''),
  )
  expect(imageValues(`flotilla@${digest}`)).toEqual(values('flotilla', '', digest))
  expect(() => imageValues('images.example.com:5000/flotilla')).toThrow(/FLOTILLA_IMAGE/)
})

test('a node that could not be drained takes pods again', async () => {
  const asked = []
  const kubectl = async (verb, node) => {
    asked.push(`${verb} ${node}`)
    if (verb === 'drain') throw new Error('timed out')
  }
  const step = stepsFor({ nodes: ['node-1'], own: false }).find(({ name }) => name.startsWith('kubectl drain'))
  await expect(step.run({ kubectl, pods: async () => [], settled: async () => {} })).rejects.toThrow('timed out')
  expect(asked).toEqual(['drain node-1', 'uncordon node-1'])
})
