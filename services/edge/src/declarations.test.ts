import { createLog } from '@flotilla/node/log'
import { createScope } from '@flotilla/node/scope'
import { expect, test } from 'vitest'
import { until } from '../test/fleet.ts'
import { createDeclarations } from './declarations.ts'

test('[EG39] declarations go out in order: at once after a silence, then those of some milliseconds together', async () => {
  const scope = createScope(createLog({ service: 'test', level: 'silent' }))
  const said: { room: string; on: boolean; atMs: number }[] = []
  const everyMs = 30
  const declarations = createDeclarations({
    ...{ scope, everyMs },
    endpoint: () => ({ interest: (room, on) => void said.push({ room, on, atMs: performance.now() }) }),
  })
  declarations.say('public:a', true, '1')
  declarations.say('public:b', true, '2')
  expect(said).toEqual([])
  await Promise.resolve()
  expect(said.map(({ room }) => room)).toEqual(['public:a', 'public:b'])
  declarations.say('public:c', true, '3')
  declarations.say('public:c', false, '')
  await Promise.resolve()
  expect(said).toHaveLength(2)
  await until('the rest is said', () => said.length === 4)
  expect(said.slice(2).map(({ room, on }) => [room, on])).toEqual([
    ['public:c', true],
    ['public:c', false],
  ])
  expect((said[2]?.atMs ?? 0) - (said[1]?.atMs ?? 0)).toBeGreaterThan(everyMs - 5)
  await scope.close()
})
