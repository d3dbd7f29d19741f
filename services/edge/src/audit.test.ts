import { createLog } from '@flotilla/node/log'
import { expect, test } from 'vitest'
import { audited, Client, token, useReadyEdge } from '../test/fleet.ts'
import { createAudit } from './audit.ts'

const here = useReadyEdge()
const lines = (written: readonly string[]): object[] => written.map((line) => JSON.parse(line) as object)

test('[EG50] a client that is refused what it may not leaves a line of audit, without its data and its token (LM4)', async () => {
  const before = audited.length
  const eve = await Client.open(here.edge.port, 'eve')
  const publish = { type: 'publish', room: 'user:ann', event: 'secret.told', data: { pin: 'sesame' } }
  expect(await eve.ask(publish)).toMatchObject({ code: 'FORBIDDEN' })
  expect(await eve.ask({ type: 'publish', room: 'nonsense', event: 'e', data: 1 })).toMatchObject({
    code: 'INVALID_ROOM',
  })
  const stranger = new Client(here.edge.port, { query: `?token=${token('eve', -60)}` })
  expect(await stranger.closedWith()).toBe(4401)
  const written = audited.slice(before)
  const line = { msg: 'audit', audit: 'refused' }
  expect(lines(written)).toMatchObject([
    { ...line, code: 'FORBIDDEN', who: 'eve', tenant: 'acme', room: 'user:ann', event: 'secret.told' },
    { ...line, code: 'UNAUTHORIZED', who: null, tenant: null, room: null, event: null },
  ])
  expect(written.join()).not.toMatch(/sesame|eyJ/)
  await eve.end()
})

test('[EG51] strangers cannot fill the log: lines above 50 per second, and 200 at once, are counted on the next one', () => {
  const written: string[] = []
  const log = createLog({ service: 'edge', level: 'info', destination: { write: (line) => void written.push(line) } })
  const audit = createAudit(log)
  const began = performance.now()
  const refuse = (): void => audit({ id: 'c', identity: null }, { type: 'error', code: 'FORBIDDEN', message: 'no' })
  const skipped = () => lines(written).reduce((sum, line) => sum + ('skipped' in line ? Number(line.skipped) : 0), 0)
  for (let i = 0; i < 2_000; i += 1) refuse()
  const most = 200 + Math.ceil(((performance.now() - began) / 1_000) * 50)
  expect(written.length).toBeGreaterThanOrEqual(200)
  expect(written.length).toBeLessThanOrEqual(most)
  let refused = 2_000
  // Until one is written again.
  for (const had = written.length; written.length === had; refused += 1) refuse()
  expect(written.length + skipped()).toBe(refused)
})
