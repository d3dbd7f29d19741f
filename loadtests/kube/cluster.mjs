// The cluster that is tried: that of KUBECONFIG, or the toolkit's, which is brought up.
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isThere, tool, toolkit } from '../../scripts/toolkit.mjs'

const run = promisify(execFile)

/**
 * `say` is told of what takes long. The toolkit's cluster can also lose a node (`powerCut`) and have its API server stand still; others
 * need the image in a registry they reach: FLOTILLA_IMAGE.
 */
export async function openCluster({ nodes, say }) {
  const own = process.env.KUBECONFIG === undefined
  const folder = join(toolkit, 'cluster')
  if (own && !existsSync(join(folder, 'up')))
    throw new Error('there is no cluster: set KUBECONFIG, or FLOTILLA_TOOLKIT for one of its own')
  if (own) {
    say(`a cluster of ${nodes} nodes`)
    await run(join(folder, 'up'), ['--nodes', String(nodes)])
    process.env.KUBECONFIG = (await run(join(folder, 'kubeconfig'))).stdout.trim()
  }
  const [kubectlPath, helmPath] = [isThere('kubectl') ? 'kubectl' : join(folder, 'kubectl'), tool('helm')]
  const options = { maxBuffer: 64 * 1_048_576 }
  const kubectl = async (...args) => (await run(kubectlPath, args, options)).stdout
  const cluster = {
    own,
    kubectl,
    json: async (...args) => JSON.parse(await kubectl(...args, '--output', 'json')),
    apply: (manifest) =>
      execFileSync(kubectlPath, ['apply', '--filename', '-'], {
        input: manifest,
        stdio: ['pipe', 'ignore', 'inherit'],
      }),
    helm: async (...args) => (await run(helmPath, args, options)).stdout,
  }
  return own ? { ...cluster, ...ownPowers(folder, say) } : cluster
}

function ownPowers(folder, say) {
  const state = process.env.CLUSTER_STATE ?? '/var/lib/fleet-cluster'
  const apiServer = () => Number(readFileSync(join(state, 'run/kube-apiserver'), 'utf8').split(' ', 1)[0])
  return {
    /** Builds an image where no registry is, and puts it into every node. */
    image: async (name, dockerfile, context) => {
      say(`image ${name}`)
      await run(join(folder, 'node-base-image'))
      const env = { ...process.env, BUILDAH_ISOLATION: 'chroot' }
      const args = ['bud', '--quiet', '--pull=never', '--tag', name, '--file', dockerfile, context]
      await run('buildah', args, { env, maxBuffer: 64 * 1_048_576 })
      await run(join(folder, 'load-image'), [name])
    },
    powerCut: (node) => run(join(folder, 'node-stop'), [String(node)]),
    powerOn: () => run(join(folder, 'up')),
    /** The API server answers nobody, and accepts connections, as one that hangs. */
    hang: () => process.kill(apiServer(), 'SIGSTOP'),
    answer: () => process.kill(apiServer(), 'SIGCONT'),
  }
}
