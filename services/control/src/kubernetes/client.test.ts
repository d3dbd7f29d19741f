import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { RequestOptions } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { startApiServer } from '../../test/api-server.ts'
import { authenticationOf, clusterConfig, createApi } from './client.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'flotilla-client-'))
  for (const name of ['KUBECONFIG', 'KUBERNETES_SERVICE_HOST', 'KUBERNETES_SERVICE_PORT']) vi.stubEnv(name, undefined)
  vi.stubEnv('HOME', home)
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(home, { recursive: true })
})

function write(path: string, text: string): string {
  const file = join(home, path)
  mkdirSync(join(file, '..'), { recursive: true })
  writeFileSync(file, text)
  return file
}
const kubeconfig = (server: string): string =>
  JSON.stringify({
    clusters: [{ name: 'c', cluster: { server, 'insecure-skip-tls-verify': true } }],
    users: [{ name: 'u', user: { token: 'secret' } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', namespace: 'fleet' } }],
    'current-context': 'x',
  })
const account = 'var/run/secrets/kubernetes.io/serviceaccount'

describe('which API is asked', () => {
  test('[KB12] without a cluster and without a kubeconfig it does not start', () => {
    expect(() => clusterConfig(home)).toThrow(/No Kubernetes API .* KUBECONFIG and ~\/\.kube\/config/)
  })

  test('[KB12] that of KUBECONFIG, or of the usual file, and only over https', () => {
    write('.kube/config', kubeconfig('https://usual:6443'))
    expect(clusterConfig(home).getCurrentCluster()?.server).toBe('https://usual:6443')
    vi.stubEnv('KUBECONFIG', write('own', kubeconfig('https://own:6443')))
    expect(clusterConfig(home).getCurrentCluster()?.server).toBe('https://own:6443')
    vi.stubEnv('KUBECONFIG', write('open', kubeconfig('http://open:8080')))
    expect(() => clusterConfig(home)).toThrow('found: "http://open:8080"')
  })

  test('[KB12] inside of a cluster its own, whatever else is configured', () => {
    write(`${account}/token`, 'secret')
    write(`${account}/namespace`, 'sea')
    expect(() => clusterConfig(home)).toThrow('KUBERNETES_SERVICE_HOST')
    vi.stubEnv('KUBERNETES_SERVICE_HOST', '10.0.0.1')
    vi.stubEnv('KUBERNETES_SERVICE_PORT', '443')
    vi.stubEnv('KUBECONFIG', write('own', kubeconfig('https://own:6443')))
    const config = clusterConfig(home)
    expect(config.getCurrentCluster()?.server).toBe('https://10.0.0.1:443')
    expect(config.getContextObject(config.getCurrentContext())?.namespace).toBe('sea')
  })
})

describe('how it is asked', () => {
  test('[KB13] over one connection that is kept, with the credentials of the moment', async () => {
    const [keyFile, certFile] = [join(home, 'key'), join(home, 'cert')]
    const subject = ['-nodes', '-days', '1', '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
    const how = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', ...subject]
    execFileSync('openssl', [...how, '-keyout', keyFile, '-out', certFile], { stdio: 'ignore' })
    const tokens: (string | undefined)[] = []
    let handshakes = 0
    const server = createServer({ key: readFileSync(keyFile), cert: readFileSync(certFile) }, (req, res) => {
      tokens.push(req.headers.authorization)
      res.end('{}')
    })
    server.on('secureConnection', () => (handshakes += 1))
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const config = new KubeConfig()
    const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    const user = { name: 'u', token: 'first' }
    config.loadFromClusterAndUser({ name: 'c', server: url, caFile: certFile, skipTLSVerify: false }, user)
    const api = createApi(url, 'fleet', authenticationOf(config))
    await api.ask({ method: 'GET', path: '/a' })
    user.token = 'second'
    await api.ask({ method: 'GET', path: '/b' })
    expect([tokens, handshakes]).toEqual([['Bearer first', 'Bearer second'], 1])
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  test('[KB13] the deadline is of the whole call, credentials that do not come included', async () => {
    const server = await startApiServer()
    const never = (_options: RequestOptions): Promise<void> => new Promise(() => undefined)
    const call = { method: 'GET', path: '/api/v1/namespaces/fleet/pods', deadlineMs: 100 } as const
    await expect(createApi(server.url, 'fleet', never).ask(call)).rejects.toThrow(/timeout/)
    expect(server.asked).toEqual([])
    server.mood = 'hangs'
    await expect(createApi(server.url, 'fleet').ask(call)).rejects.toThrow()
    await server.close()
  })
})
