import { afterEach, expect, test } from 'vitest'
import { startCluster, startRedis } from './redis-server.ts'

const opened: { close(): Promise<void> }[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()))
})

test('[TR1] a test server never evicts, and keeps what it acknowledged over a SIGKILL when it has a file', async () => {
  const server = await startRedis({ appendonly: true, maxmemory: '64mb' })
  opened.push(server)
  expect(await server.call('CONFIG', 'GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction'])
  expect(await server.call('SET', 'a', '1')).toBe('OK')
  await server.kill9()
  expect(server.pid).toBeUndefined()
  await expect(server.call('PING')).rejects.toThrow()
  await server.start()
  expect(await server.call('GET', 'a')).toBe('1')
})

test('[TR2] a test cluster is whole when it is handed over', async () => {
  const cluster = await startCluster(3)
  opened.push(cluster)
  for (const node of cluster.nodes) expect(String(await node.call('CLUSTER', 'INFO'))).toContain('cluster_state:ok')
})
