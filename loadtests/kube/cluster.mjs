// The cluster that is tried: the toolkit's, which is brought up, or one of yours that is named.
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isThere, tool, toolkit } from '../../scripts/toolkit.mjs'

const run = promisify(execFile)

const noName =
  'KUBECONFIG is set. This drains every node of its cluster, one after the other, and deletes the namespace flotilla-e2e: ' +
  'say which context that is for with FLOTILLA_E2E_CONTEXT, or unset KUBECONFIG for a cluster of the toolkit'
const noImage =
  'FLOTILLA_IMAGE has to name the image, as images.example.com/flotilla:1.2.3: the cluster pulls it from there'
const stateFolder = () => process.env.CLUSTER_STATE ?? '/var/lib/fleet-cluster'
const ownFolder = () => join(toolkit, 'cluster')

/** Whose cluster is meant. One of somebody else is touched only when its context is named, and needs an image that it can pull. */
export function chooseCluster({ KUBECONFIG, FLOTILLA_E2E_CONTEXT: context, FLOTILLA_IMAGE: image }) {
  if (context !== undefined) {
    if (image === undefined) throw new Error(noImage)
    return { own: false, context, image }
  }
  if (KUBECONFIG !== undefined) throw new Error(noName)
  return { own: true }
}

/** `registry/repository:tag` or `registry/repository@digest` as values of the chart. */
export function imageValues(image) {
  const [, repository, tag = '', digest = ''] = /^(.+?)(?::([^:/@]+))?(?:@(sha256:.+))?$/.exec(image)
  if (tag + digest === '') throw new Error(noImage)
  return [
    ['repository', repository],
    ['tag', tag],
    ['digest', digest],
  ].map(([name, value]) => `image.${name}=${JSON.stringify(value)}`)
}

/** `say` is told of what takes long. The toolkit's cluster can also lose a node (`powerCut`) and have its API server stand still. */
export async function openCluster({ nodes, say }) {
  const { own, context, image } = chooseCluster(process.env)
  const folder = ownFolder()
  if (own && !existsSync(join(folder, 'up')))
    throw new Error(
      'there is no cluster: name one with FLOTILLA_E2E_CONTEXT, or set FLOTILLA_TOOLKIT for one of its own',
    )
  const wasUp = own && existsSync(join(stateFolder(), 'run/kube-apiserver'))
  if (own) {
    say(`a cluster of ${nodes} nodes`)
    await run(join(folder, 'up'), ['--nodes', String(nodes)])
    process.env.KUBECONFIG = (await run(join(folder, 'kubeconfig'))).stdout.trim()
  }
  const [kubectlPath, helmPath] = [isThere('kubectl') ? 'kubectl' : join(folder, 'kubectl'), tool('helm')]
  const options = { maxBuffer: 64 * 1_048_576 }
  // Always named: the current context may become another one while this runs.
  const [ofKubectl, ofHelm] = own
    ? [[], []]
    : [
        ['--context', context],
        ['--kube-context', context],
      ]
  const kubectl = async (...args) => (await run(kubectlPath, [...ofKubectl, ...args], options)).stdout
  const cluster = {
    own,
    /** Down again, where it was not up before. */
    close: async () => {
      if (own && !wasUp) await run(join(folder, 'down'))
    },
    values: own ? [] : imageValues(image),
    kubectl,
    /** The same as a command line, to be started by others. */
    kubectlCommand: (...args) => [kubectlPath, ...ofKubectl, ...args],
    json: async (...args) => JSON.parse(await kubectl(...args, '--output', 'json')),
    apply: (manifest) =>
      execFileSync(kubectlPath, [...ofKubectl, 'apply', '--filename', '-'], {
        input: manifest,
        stdio: ['pipe', 'ignore', 'inherit'],
      }),
    helm: async (...args) => (await run(helmPath, [...args, ...ofHelm], options)).stdout,
  }
  return own ? { ...cluster, ...ownPowers({ folder, nodes, say }) } : cluster
}

function ownPowers({ folder, nodes, say }) {
  const apiServer = () => Number(readFileSync(join(stateFolder(), 'run/kube-apiserver'), 'utf8').split(' ', 1)[0])
  return {
    /** Builds an image where no registry is, and puts it into every node. */
    image: async (name, dockerfile, context) => {
      say(`image ${name}`)
      await run(join(folder, 'node-base-image'))
      const env = { ...process.env, BUILDAH_ISOLATION: 'chroot' }
      // What npm trusts here it has to trust there.
      const authority = (await run('npm', ['config', 'get', 'cafile'])).stdout.trim()
      const secrets = existsSync(authority) ? ['--secret', `id=ca,src=${authority}`] : []
      const args = [
        'bud',
        '--quiet',
        '--pull=never',
        '--layers',
        ...secrets,
        '--tag',
        name,
        '--file',
        dockerfile,
        context,
      ]
      await run('buildah', args, { env, maxBuffer: 64 * 1_048_576 })
      await run(join(folder, 'load-image'), [name])
    },
    powerCut: (node) => run(join(folder, 'node-stop'), [String(node)]),
    powerOn: () => run(join(folder, 'up'), ['--nodes', String(nodes)]),
    /** The API server answers nobody, and accepts connections, as one that hangs. */
    hang: () => process.kill(apiServer(), 'SIGSTOP'),
    answer: () => process.kill(apiServer(), 'SIGCONT'),
  }
}
