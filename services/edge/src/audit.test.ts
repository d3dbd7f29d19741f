import { createLog } from '@flotilla/node/log'
import { expect, test } from 'vitest'
import { audited, Client, token, useReadyEdge } from '../test/fleet.ts'
import { createAudit } from './audit.ts'
import type { Refused } from './audit.ts'

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
  const rooms = ['user:ann', 'user:bob', 'public:a'].map((room) => ({ room }))
  expect(await eve.ask({ type: 'resume', rooms })).toMatchObject({ type: 'ok' })
  const stranger = new Client(here.edge.port, { query: `?token=${token('eve', -60)}` })
  expect(await stranger.closedWith()).toBe(4401)
  const written = audited.slice(before)
  const line = { msg: 'audit', audit: 'refused' }
  expect(lines(written)).toMatchObject([
    {
      ...line,
      code: 'FORBIDDEN',
      who: 'eve',
      tenant: 'acme',
      room: 'user:ann',
      event: 'secret.told',
      from: '127.0.0.1',
    },
    { ...line, code: 'FORBIDDEN', who: 'eve', room: 'user:ann', moreRooms: 1 },
    { ...line, code: 'UNAUTHORIZED', who: null, tenant: null, room: null, event: null },
  ])
  expect(written.join()).not.toMatch(/sesame|eyJ/)
  await eve.end()
})

interface Line {
  readonly who: string | null
  readonly audit: string
  readonly skipped?: Readonly<Record<string, number>>
}
function auditTo(written: string[]) {
  const log = createLog({ service: 'edge', level: 'info', destination: { write: (line) => void written.push(line) } })
  const audit = createAudit(log)
  const refuse = (who: Refused): void => audit.refused(who, { code: 'FORBIDDEN', rooms: [] })
  const told = () => lines(written) as Line[]
  const skipped = () => told().reduce((sum, line) => sum + (line.skipped?.['FORBIDDEN'] ?? 0), 0)
  return { ...audit, refuse, told, skipped }
}
const somebody = (userId: string): Refused => ({ id: userId, named: { userId }, address: undefined })

test('[EG51] strangers cannot fill the log: lines above 50 per second, and 200 at once, are counted on the next one', () => {
  const written: string[] = []
  const { refuse, skipped } = auditTo(written)
  const began = performance.now()
  for (let i = 0; i < 2_000; i += 1) refuse(somebody('c'))
  const most = 200 + Math.ceil(((performance.now() - began) / 1_000) * 50)
  expect(written.length).toBeGreaterThanOrEqual(200)
  expect(written.length).toBeLessThanOrEqual(most)
  let refused = 2_000
  // Until one is written again.
  for (const had = written.length; written.length === had; refused += 1) refuse(somebody('c'))
  expect(written.length + skipped()).toBe(refused)
})

test('[EG51] one connection does not keep the lines of others out, and what was left out is told some seconds later', () => {
  const written: string[] = []
  const { refuse, told, skipped, check } = auditTo(written)
  const eve = somebody('eve')
  const began = performance.now()
  for (let i = 0; i < 5_000; i += 1) refuse(eve)
  expect(told().length).toBeLessThanOrEqual(10 + Math.ceil((performance.now() - began) / 1_000))
  refuse(somebody('bob'))
  expect(told().at(-1)).toMatchObject({ who: 'bob', audit: 'refused' })
  refuse(eve)
  check(performance.now() + 9_000)
  const before = written.length
  check(performance.now() + 11_000)
  expect(told().slice(before)).toMatchObject([{ audit: 'skipped', skipped: { FORBIDDEN: 1 } }])
  check(performance.now() + 60_000)
  expect(written.length - 1 + skipped()).toBe(5_002)
})
