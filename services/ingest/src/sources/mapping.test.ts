import { expect, it } from 'vitest'
import { maxDataBytes } from '@flotilla/core/limits'
import { createMapping } from './mapping.ts'
import type { SourceMessage } from './mapping.ts'
import { parseSources } from './file.ts'

const rules = (...map: readonly unknown[]) => {
  const source = { type: 'nats', name: 'crm', servers: ['nats://n:4222'], stream: 'S', durable: 'd', map }
  return createMapping(parseSources(JSON.stringify({ sources: [source] }), 'f')[0]?.map ?? [], 'source:crm')
}
const message = (subject: string, payload: unknown): SourceMessage => ({
  subject,
  headers: {},
  payload: new TextEncoder().encode(typeof payload === 'string' ? payload : JSON.stringify(payload)),
  timeMs: 0,
})
const agent = {
  subject: 'agent.{agentId}.>',
  to: { tenant: '{payload.tenantId}', room: 'agent:{payload.tenantId}:{agentId}' },
  event: 'agent.{last}',
  match: { agentType: '{payload.agentType}', absent: '{payload.absent}' },
  except: ['{payload.actor}'],
}

it('[NS4][NS5] a message goes to every room that its rule names, with data, meta, match and except (EV6)', () => {
  const payload = { tenantId: 'acme', agentType: 'planner', actor: 'ann' }
  expect(rules(agent)(message('agent.42.tool.called', payload))).toEqual({
    ok: true,
    event: {
      rooms: ['agent:acme:42', 'tenant:acme'],
      options: '{"except":["ann"],"match":{"agentType":"planner"}}',
      tail: `"event":"agent.called","data":${JSON.stringify(payload)},"meta":{"userId":"source:crm","timestamp":"1970-01-01T00:00:00.000Z"}`,
      ephemeral: false,
    },
  })
})

it('[NS4] the first rule that fits is taken; without further words the event is named by the subject', () => {
  const map = rules(
    { subject: 'task.{id}.done', to: { user: '{payload.user}' }, data: '{payload.result}', ephemeral: true },
    { subject: 'task.>', to: { users: ['{payload.users}'], rooms: ['public:a', 'public:a'] } },
  )
  expect(map(message('task.1.done', { user: 'ann', result: [1] }))).toMatchObject({
    event: { rooms: ['user:ann'], ephemeral: true, tail: expect.stringContaining('"event":"task.1.done","data":[1],') },
  })
  expect(map(message('task.1.begun', { users: ['ann', 'bob'] }))).toMatchObject({
    event: { rooms: ['public:a', 'user:ann', 'user:bob'], options: '' },
  })
})

it.each([
  ['no_rule', 'other.1', {}],
  ['bad_payload', 'agent.1.x', '{'],
  ['bad_payload', 'agent.1.x', '{"__proto__":{}}'],
  ['missing_field', 'agent.1.x', {}],
  ['missing_field', 'agent.1.x', { tenantId: 'a:b' }],
  ['missing_field', 'agent.1.x', ''],
  ['bad_name', 'agent.1.x', { tenantId: 'x'.repeat(300) }],
  ['too_large', 'agent.1.x', { tenantId: 'a', text: 'x'.repeat(maxDataBytes) }],
  ['too_large', 'agent.1.x', { tenantId: 'a', agentType: 'x'.repeat(5_000) }],
  ['too_large', 'agent.1.x', { tenantId: 'a', actor: 'x'.repeat(201) }],
])('[NS6] %s: %s is put aside', (reason, subject, payload) => {
  expect(rules(agent)(message(subject, payload))).toMatchObject({ ok: false, reason })
})

it('[SF4] sensitive fields of the policy are not in what a source publishes (LM4)', () => {
  const [rule] = parseSources(
    JSON.stringify({
      sources: [{ type: 'nats', name: 'crm', servers: ['nats://n:4222'], stream: 'S', durable: 'd', map: [agent] }],
    }),
    'f',
  )
  const mapped = createMapping(rule?.map ?? [], 'source:crm', () => new Set(['pin']))
  const payload = { tenantId: 'acme', agentType: 'planner', actor: 'ann', card: { PIN: 4711 } }
  expect(mapped(message('agent.42.started', payload))).toMatchObject({ ok: true })
  expect(JSON.stringify(mapped(message('agent.42.started', payload)))).not.toContain('4711')
  // A rule that names the field itself finds none.
  const named = (rule?.map ?? []).map((each) => ({ ...each, data: '{payload.card.PIN}' }))
  const asked = createMapping(named, 'source:crm', () => new Set(['pin']))
  expect(asked(message('agent.42.started', payload))).toMatchObject({ ok: false, reason: 'missing_field' })
})
