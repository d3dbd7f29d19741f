import { expect, it } from 'vitest'
import { createLog } from '../log.ts'
import { createScope } from '../scope.ts'
import { openStore } from './open.ts'

it('[RA6] memory has no replicas: the start is refused where they are to confirm, with what to set', async () => {
  const log = createLog({ service: 'test', level: 'silent' })
  const scope = createScope(log)
  const config = {
    redisUrl: null,
    redisCluster: false,
    redisPrefix: '',
    redisCommandTimeoutMs: 100,
    slots: 8,
    lanes: 1,
  }
  await expect(openStore({ ...config, ackReplicas: 1 }, { log, scope })).rejects.toThrow(/FLOTILLA_REDIS_URL/)
  await (await openStore(config, { log, scope })).close()
  await scope.close()
})
