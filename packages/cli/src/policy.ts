import { parseArgs } from 'node:util'
import { defaultPolicy, defaultPolicyFile } from '@flotilla/core/policy-default'
import { policySchema } from '@flotilla/core/policy-file'
import { anonymousRole, decide, explain, roomsAtConnect } from '@flotilla/core/policy'
import type { Decision, Identity, Policy, RoomAction } from '@flotilla/core/policy'
import { readPolicy } from '@flotilla/node/policy'
import { stringify } from 'yaml'

/** What a command prints, and what its process ends with. */
export interface Outcome {
  readonly out: string
  /** 0: yes; 1: no; 2: the command itself is wrong. */
  readonly code: 0 | 1 | 2
}

export const policyUsage = `Who may do what in which rooms: docs/policy.md.

  flotilla policy check FILE        whether a policy file is good, and what is wrong with it
  flotilla policy test [WHO] join ROOM
  flotilla policy test [WHO] publish ROOM [EVENT]
                                    whether that is allowed, and why
  flotilla policy default           the policy of a fleet without a file, to begin with
  flotilla policy schema            the JSON schema, for editors

WHO, as the token says it:
  --user ID --tenant ID --role ROLE --permission PERMISSION   role and permission as often as needed
  --anonymous                       or nobody: a connection without a token
  --policy FILE                     the policy; the default one without it
`

export async function policyCommand(args: readonly string[]): Promise<Outcome> {
  const [command, ...rest] = args
  switch (command) {
    case 'check':
      return rest.length === 1 && rest[0] !== undefined ? check(rest[0]) : wrong('policy check takes one file')
    case 'test':
      return test(rest)
    case 'default':
      return { out: stringify(defaultPolicyFile, { aliasDuplicateObjects: false }), code: 0 }
    case 'schema':
      return { out: `${JSON.stringify(policySchema(), null, 2)}\n`, code: 0 }
    case undefined:
      return { out: policyUsage, code: 2 }
    default:
      return wrong(`there is no flotilla policy ${command}`)
  }
}

function wrong(what: string): Outcome {
  return { out: `${what}\n\n${policyUsage}`, code: 2 }
}

async function check(path: string): Promise<Outcome> {
  const { types, rooms, others } = await readPolicy(path)
  const rest = others === null ? 'other types are unknown' : 'other types have a policy too'
  const next = `try it: flotilla policy test --policy ${path} --user 42 --tenant acme join user:42`
  return { out: `${path} is good: ${types.size} types, ${rooms.size} rooms, ${rest}\n${next}\n`, code: 0 }
}

async function test(args: readonly string[]): Promise<Outcome> {
  const given = readArgs(args)
  if (typeof given === 'string') return wrong(given)
  const { values, positionals } = given
  const [action, room, event, ...more] = positionals
  if (!isAction(action) || room === undefined || more.length > 0 || (event !== undefined && action === 'join'))
    return wrong('policy test is followed by: join ROOM, or publish ROOM EVENT')
  const policy = values.policy === undefined ? defaultPolicy : await readPolicy(values.policy)
  const identity = identityOf(values)
  if (identity === undefined) return wrong('--anonymous has no token: nothing else says who it is')
  return answer(policy, { identity, room, action, ...(event === undefined ? {} : { event }) })
}

function readArgs(args: readonly string[]) {
  const text = { type: 'string' } as const
  const texts = { type: 'string', multiple: true } as const
  const anonymous = { type: 'boolean' } as const
  const options = { policy: text, user: text, tenant: text, role: texts, permission: texts, anonymous }
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

type Who = Exclude<ReturnType<typeof readArgs>, string>['values']

/** Undefined: it is anonymous, and somebody. */
function identityOf({ user, tenant, role, permission, anonymous }: Who): Identity | undefined {
  if (anonymous !== true) return { userId: user ?? 'someone', tenantId: tenant, roles: role, permissions: permission }
  if ([user, tenant, role, permission].some((each) => each !== undefined)) return undefined
  return { userId: 'anonymous-1', roles: [anonymousRole], anonymous }
}

const isAction = (text: string | undefined): text is RoomAction => text === 'join' || text === 'publish'

function answer(policy: Policy, question: Parameters<typeof decide>[1]): Outcome {
  const { identity, room, action, event } = question
  const decision = decide(policy, question)
  const named = identity.tenantId === undefined ? identity.userId : `${identity.userId} of ${identity.tenantId}`
  const who = identity.anonymous === true ? 'an anonymous connection' : named
  const what = `${action} ${room}${event === undefined ? '' : ` with ${event}`}`
  const lines = [verdictText(decision, `${who} may`, what), ...explain(policy, question).map((line) => `  ${line}`)]
  if (action === 'join' && roomsAtConnect(policy, identity).includes(room))
    lines.push(
      `  every ${identity.anonymous === true ? 'such connection' : 'connection of this user'} is put into it by itself`,
    )
  return { out: `${lines.join('\n')}\n`, code: decision.allow ? 0 : 1 }
}

function verdictText(decision: Decision, who: string, what: string): string {
  if (decision.allow) return `allowed: ${who} ${what}`
  if (decision.hook !== undefined) return `asked: ${who} ${what} if the hook ${decision.hook} says so`
  return `${decision.code}: ${who} not ${what}`
}
