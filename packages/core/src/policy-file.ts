import { z } from 'zod'
import { ephemeralPerSecond, historyEvents, historyMs, maxKeptEvents, roomIdleMs } from './limits.ts'
import { eventLogEvents, maxEventLogEvents, outgoingEvents } from './outgoing.ts'
import type { Outgoing } from './outgoing.ts'
import type { Condition, History, Policy, RoomPolicy, Rule } from './policy.ts'
import { hooks, hooksFrom } from './policy-hooks.ts'
import type { Hooks } from './policy-hooks.ts'
import { classesFrom, classNames, rates } from './policy-rates.ts'
import { duration, toMs } from './policy-time.ts'
import { isRoomType, maxEventChars, maxRoomChars, parseRoomName } from './room-name.ts'

/** Types, and rooms, that one policy may name. */
export const maxPolicyTypes = 200
/** Conditions of one rule, and words of one list. */
const maxConditions = 32
const maxWords = 256
const maxConnectRooms = 16

const word = z.string().min(1).max(128)
const words = z.union([word, z.array(word).min(1).max(maxWords)]).describe('One, or a list of which one is enough.')

const condition = z
  .strictObject({
    id: z
      .enum(['user', 'tenant', 'role'])
      .optional()
      .describe("The room's id is the user's own, the tenant's, or one of the user's roles."),
    tenant: z
      .enum(['own', 'any'])
      .optional()
      .describe("`any` opens rooms of other tenants; without it type:tenant:id is for the tenant's own users."),
    role: words
      .optional()
      .describe('Roles of the token; anonymous: of connections without one, that no other condition holds for.'),
    permission: words.optional().describe('Permissions of the token.'),
    token: z.literal(true).optional().describe('A signed token for this very room.'),
    hook: word.optional().describe('A service says so, by its name in hooks.rooms; asked when everything else holds.'),
  })
  .refine(
    ({ tenant, ...others }) =>
      tenant !== 'any' || [others.role, others.permission, others.token, others.hook].some(Boolean),
    { error: 'tenant: any opens every tenant to everybody; name a role, a permission, a token or a hook besides' },
  )
const rule = z
  .union([z.enum(['everyone', 'nobody']), z.array(condition).min(1).max(maxConditions)])
  .refine((given) => new Set(hooksOf(given)).size <= 1, { error: 'names two hooks: one rule asks one' })
  .describe('`everyone`, `nobody`, or conditions of which one has to hold; of a condition all parts have to.')

const keptFor = duration(roomIdleMs, 'a room is kept for 24h at the most')
const history = z
  .strictObject({
    events: z.number().int().min(1).max(maxKeptEvents).optional().describe('Events that a room keeps at the least.'),
    age: keptFor.optional().describe('Older events are not served.'),
  })
  .describe('What can be resumed and read again.')

const ephemeral = z
  .strictObject({ perSecond: z.number().int().min(1).max(1_000_000).describe('Of one room, by one process.') })
  .describe('What ephemeral events a room may have; those above it are dropped.')

const roomPolicy = z.strictObject({
  form: z
    .enum(['id', 'tenant', 'any'])
    .optional()
    .describe('Names are `type:id` (id), `type:tenant:id` (tenant, the default), or either (any).'),
  join: rule.optional().describe('Who may subscribe; nobody when it is left out.'),
  publish: rule.optional().describe('Which clients may publish; nobody when it is left out. Services always may.'),
  presence: rule
    .refine((given) => hooksOf(given).length === 0, { error: 'no hook is asked about presence' })
    .optional()
    .describe('Who is told of the members; with nobody they are kept for services. Left out: nobody keeps them.'),
  events: z
    .array(z.string().min(1).max(maxEventChars))
    .min(1)
    .max(maxWords)
    .optional()
    .describe('Events that clients may publish, `deal.*` for all that begin so; any when it is left out.'),
  history: history.optional(),
  ephemeral: ephemeral.optional(),
})

const outgoing = z
  .strictObject({
    events: z.array(z.enum(outgoingEvents)).min(1).max(maxWords).describe('Which of them.'),
    types: z
      .array(z.string().refine(isRoomType, { error: 'is not a room type' }))
      .min(1)
      .max(maxPolicyTypes)
      .optional()
      .describe('Of events of rooms, those of these types only.'),
    retain: z
      .strictObject({
        events: z.number().int().min(1).max(maxEventLogEvents).optional().describe('Events that a slot keeps.'),
        age: keptFor.optional().describe('Older events are not served.'),
      })
      .optional(),
  })
  .describe('What the backend is told of connections, rooms and messages: docs/webhooks.md.')

const sensitive = z
  .array(z.string().regex(/^[A-Za-z_][\w-]{0,63}$/, { error: 'is not a name: 1 to 64 letters, digits, - and _' }))
  .min(1)
  .max(maxWords)
  .describe('Fields that are left out of the data of events and of presence, wherever they stand in it.')

const named = (what: string, isGood: (name: string) => boolean) =>
  z
    .record(z.string().refine(isGood, { error: `is not ${what}` }), roomPolicy)
    .refine((value) => Object.keys(value).length <= maxPolicyTypes, { error: `at most ${maxPolicyTypes}` })

/** A policy file, as it is written in YAML or JSON. */
export const policyFile = z.strictObject({
  $schema: z.string().optional().describe('For editors.'),
  version: z.literal(1),
  connect: z
    .array(
      z
        .string()
        .min(1)
        .max(maxRoomChars)
        .refine(isTemplate, { error: 'is not a room, with {user}, {tenant} or {role} as a part of its own' }),
    )
    .max(maxConnectRooms)
    .optional()
    .describe(
      'Rooms that every connection is put into, as far as it may join them; with {role} one for each of its roles.',
    ),
  history: history.optional().describe('Of rooms whose type says nothing else.'),
  ephemeral: ephemeral.optional().describe('Of rooms whose type says nothing else.'),
  classes: classNames.optional(),
  sensitive: sensitive.optional(),
  rates: rates.optional(),
  types: named('a room type: lower case letters, digits, - and _', isRoomType).optional(),
  rooms: named('a room: type:id or type:tenant:id', (name) => parseRoomName(name).ok)
    .optional()
    .describe('Rooms that differ from their type, by their whole name.'),
  others: roomPolicy.optional().describe('Types that are not named; without it they are UNKNOWN_ROOM_TYPE.'),
  hooks: hooks.optional(),
  outgoing: outgoing.optional(),
})
export type PolicyFile = z.input<typeof policyFile>

/** The JSON schema of a policy file (2020-12): editors complete and check by it. What it cannot say {@link parsePolicy} does. */
export function policySchema(): object {
  return { title: 'Flotilla policy', ...z.toJSONSchema(policyFile, { io: 'input', reused: 'ref' }) }
}

export type ParsedPolicy =
  | { readonly ok: true; readonly policy: Policy }
  /** One line each: where, and what is wrong. */
  | { readonly ok: false; readonly problems: readonly string[] }

/** `value`: the file's content as JSON values. */
export function parsePolicy(value: unknown): ParsedPolicy {
  const parsed = policyFile.safeParse(value)
  if (!parsed.success) return { ok: false, problems: parsed.error.issues.flatMap((issue) => describe(issue, [])) }
  const { connect = [], types = {}, rooms = {}, others, ephemeral: budget } = parsed.data
  const limited = classesFrom(parsed.data)
  if (!limited.ok) return limited
  const asked = hooksFrom(parsed.data.hooks ?? {})
  const unknown = unknownHooks(parsed.data, asked.rooms)
  if (unknown.length > 0) return { ok: false, problems: unknown }
  const general = {
    history: historyFrom(parsed.data.history, { events: historyEvents, ageMs: historyMs }),
    ephemeralPerSecond: budget?.perSecond ?? ephemeralPerSecond,
  }
  const all = (given: Record<string, z.infer<typeof roomPolicy>>): ReadonlyMap<string, RoomPolicy> =>
    new Map(Object.entries(given).map(([name, each]) => [name, roomPolicyFrom(each, general)]))
  const unnamed = others === undefined ? null : roomPolicyFrom(others, general)
  const named = { types: all(types), rooms: all(rooms), others: unnamed }
  const told = parsed.data.outgoing === undefined ? null : outgoingFrom(parsed.data.outgoing)
  const withheld = parsed.data.sensitive?.map((name) => name.toLowerCase())
  const rest = { hooks: asked, outgoing: told, sensitive: withheld === undefined ? null : new Set(withheld) }
  return { ok: true, policy: { connect, ...general, rates: limited.rates, ...named, ...rest } }
}

function outgoingFrom({ events, types, retain = {} }: z.infer<typeof outgoing>): Outgoing {
  return {
    events: new Set(events),
    types: types === undefined ? null : new Set(types),
    retain: {
      events: retain.events ?? eventLogEvents,
      ageMs: retain.age === undefined ? roomIdleMs : toMs(retain.age),
    },
  }
}

type General = Pick<RoomPolicy, 'history' | 'ephemeralPerSecond'>

function roomPolicyFrom(given: z.infer<typeof roomPolicy>, general: General): RoomPolicy {
  return {
    form: given.form ?? 'tenant',
    join: ruleFrom(given.join),
    publish: ruleFrom(given.publish),
    presence: given.presence === undefined ? null : ruleFrom(given.presence),
    events: given.events ?? null,
    history: historyFrom(given.history, general.history),
    ephemeralPerSecond: given.ephemeral?.perSecond ?? general.ephemeralPerSecond,
  }
}

const open: Condition = { id: null, tenant: 'own', role: null, permission: null, token: false, hook: null }

function ruleFrom(given: z.infer<typeof rule> = 'nobody'): Rule {
  if (given === 'nobody') return []
  if (given === 'everyone') return [open]
  return given.map(({ id = null, tenant = 'own', role, permission, token = false, hook = null }) => ({
    ...{ id, tenant, token, hook },
    role: role === undefined ? null : new Set([role].flat()),
    permission: permission === undefined ? null : new Set([permission].flat()),
  }))
}

function hooksOf(given: string | readonly z.infer<typeof condition>[] | undefined): string[] {
  if (given === undefined || typeof given === 'string') return []
  return given.flatMap(({ hook }) => hook ?? [])
}

/** Hooks that a rule names and `hooks.rooms` has not. */
function unknownHooks({ types = {}, rooms = {}, others }: z.infer<typeof policyFile>, known: Hooks['rooms']): string[] {
  const all = [
    ...Object.entries(types).map(([name, each]) => [`types.${name}`, each] as const),
    ...Object.entries(rooms).map(([name, each]) => [`rooms.${name}`, each] as const),
    ...(others === undefined ? [] : [['others', others] as const]),
  ]
  return all.flatMap(([place, { join, publish }]) =>
    Object.entries({ join, publish }).flatMap(([action, given]) =>
      hooksOf(given)
        .filter((hook) => !known.has(hook))
        .map((hook) => `${place}.${action}: there is no ${JSON.stringify(hook)} in hooks.rooms`),
    ),
  )
}

function historyFrom(given: z.infer<typeof history> | undefined, general: History): History {
  const { events = general.events, age } = given ?? {}
  return { events, ageMs: age === undefined ? general.ageMs : toMs(age) }
}

const places: ReadonlySet<string> = new Set(['{user}', '{tenant}', '{role}'])

function isTemplate(text: string): boolean {
  const parts = text.split(':').map((part, i) => (i > 0 && places.has(part) ? 'x' : part))
  return parts.every((part) => !/[{}]/.test(part)) && parseRoomName(parts.join(':')).ok
}

interface Issue {
  readonly message: string
  readonly path: readonly PropertyKey[]
  readonly code?: string | undefined
  /** Of a value that may have several forms: what is wrong with it in each. */
  readonly errors?: readonly (readonly Issue[])[]
  /** Of a key. */
  readonly issues?: readonly Issue[]
}

/** Of several forms that a value may have, the complaints of the one that it came furthest with. */
function describe(issue: Issue, above: readonly PropertyKey[]): string[] {
  const path = [...above, ...issue.path]
  if (issue.code === 'invalid_key') return (issue.issues ?? []).map(({ message }) => `${pathText(path)}: ${message}`)
  if (issue.code === 'invalid_union' && issue.errors !== undefined) {
    const depth = (issues: readonly Issue[]): number => Math.max(...issues.map((each) => each.path.length))
    const [best] = issue.errors.toSorted((a, b) => depth(b) - depth(a))
    if (best !== undefined && depth(best) > 0) return best.flatMap((each) => describe(each, path))
    return [
      `${pathText(path)}: ${issue.errors
        .flat()
        .map((each) => each.message)
        .join(', or ')}`,
    ]
  }
  return [`${pathText(path)}: ${issue.message}`]
}

function pathText(path: readonly PropertyKey[]): string {
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
  return text === '' ? 'the policy' : text.replace(/^\./, '')
}
