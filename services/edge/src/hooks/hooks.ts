import { isDeepStrictEqual } from 'node:util'
import type { Hooks } from '@flotilla/core/policy-hooks'
import { prefixOf } from '@flotilla/core/session-calls'
import type { CallAnswer, HookAnswer, SessionEffect, SessionIdentity } from '@flotilla/core/session-state'
import type { Log } from '@flotilla/node/log'
import type { Metrics } from '@flotilla/node/metrics'
import type { PolicySource } from '@flotilla/node/policy'
import type { Connection } from '../connection.ts'
import { createAnswers } from './answers.ts'
import { createLine } from './line.ts'
import type { Line } from './line.ts'
import { createQuestions, failedMs } from './questions.ts'

export type HookEffect = Extract<SessionEffect, { type: 'ask' | 'call' }>

/** Asks the services that the policy names, for sessions (docs/hooks.md). */
export interface EdgeHooks {
  onSession(connection: Connection, effect: HookEffect): void
}

export function createEdgeHooks(deps: {
  readonly policy: PolicySource
  readonly log: Log
  readonly metrics: Metrics
}): EdgeHooks {
  const { policy } = deps
  const questions = createQuestions(deps)
  let { hooks } = policy.current
  /** By what they are asked about and their name; those of another policy are other ones, and their answers are forgotten. */
  let lines = linesOf(hooks)
  let answers = createAnswers<HookAnswer>()
  policy.onChange((now) => {
    if (isDeepStrictEqual(now.hooks, hooks)) return
    hooks = now.hooks
    lines = linesOf(hooks)
    answers = createAnswers()
  })
  async function answerTo(effect: Extract<HookEffect, { type: 'ask' }>): Promise<HookAnswer> {
    const { about, identity } = effect
    const user = userOf(identity)
    const isConnect = about.type === 'connect'
    const line = lines.get(isConnect ? 'connect' : `room ${about.hook}`)
    // The policy has changed since.
    if (line === undefined) return { outcome: 'failed', validMs: 0 }
    const question = isConnect
      ? { hook: 'connect', user }
      : { hook: about.hook, action: about.action, room: about.room, user }
    const { value, validMs } = await answers.get(JSON.stringify(question), () =>
      isConnect ? questions.connect(line, question) : questions.room(line, question),
    )
    return { ...value, validMs }
  }

  async function callFor(connectionId: string, effect: Extract<HookEffect, { type: 'call' }>): Promise<CallAnswer> {
    const { method, params, request, identity } = effect
    const line = lines.get(`call ${prefixOf(method)}`)
    if (line === undefined) return { outcome: 'failed', retryAfterMs: failedMs }
    const question = { hook: 'call', id: `${connectionId}:${request}`, method, connectionId, user: userOf(identity) }
    return questions.call(line, { ...question, params: JSON.parse(params) as unknown })
  }

  return {
    onSession: (connection, effect) => {
      const { request } = effect
      if (effect.type === 'ask')
        void answerTo(effect).then((answer) => connection.step({ type: 'asked', request, answer }))
      else void callFor(connection.id, effect).then((answer) => connection.step({ type: 'called', request, answer }))
    },
  }
}

/** What a service is told of who asks. */
function userOf({ userId, tenantId, roles = [], permissions = [], anonymous }: SessionIdentity): object {
  const named = { id: userId, ...(tenantId === undefined ? {} : { tenantId }), roles, permissions }
  return anonymous === true ? { ...named, anonymous } : named
}

function linesOf({ connect, rooms, calls }: Hooks): ReadonlyMap<string, Line> {
  return new Map([
    ...(connect === null ? [] : [['connect', createLine(connect)] as const]),
    ...Array.from(rooms, ([name, hook]) => [`room ${name}`, createLine(hook)] as const),
    ...Array.from(calls, ([name, hook]) => [`call ${name}`, createLine(hook)] as const),
  ])
}
