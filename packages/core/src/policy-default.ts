import { parsePolicy } from './policy-file.ts'
import type { PolicyFile } from './policy-file.ts'
import type { Policy } from './policy.ts'

type RoomPolicyFile = NonNullable<PolicyFile['others']>

/** Everybody of the tenant that the room's name has. */
const ofTenant: RoomPolicyFile = { join: 'everyone', publish: 'everyone' }
/** Those without a token too, where the edges take them in. */
const anybody = [{}, { role: 'anonymous' }]
/** Where people work together: they see each other. */
const together: RoomPolicyFile = { ...ofTenant, presence: 'everyone' }
/** Who speaks to a whole tenant has to be allowed to (requirement EV2). */
const tenantItself: RoomPolicyFile = {
  form: 'id',
  join: [{ id: 'tenant' }],
  publish: [{ id: 'tenant', permission: 'tenant.publish' }],
}

/** The policy of a fleet without a policy file; docs/policy.md shows it as YAML. */
export const defaultPolicyFile = {
  version: 1,
  connect: ['user:{user}', 'tenant:{tenant}', 'role:{tenant}:{role}', 'public:all'],
  types: {
    public: { form: 'any', join: anybody, publish: 'everyone' },
    user: { form: 'id', join: [{ id: 'user' }], publish: [{ id: 'user' }] },
    tenant: tenantItself,
    // Who has a role in a tenant.
    role: { join: [{ id: 'role' }] },
    workspace: tenantItself,
    contact: ofTenant,
    deal: ofTenant,
    document: together,
    chat: together,
    conversation: together,
    workflow: ofTenant,
    agent: ofTenant,
    task: ofTenant,
  },
  rooms: {
    'public:all': { form: 'id', join: anybody, publish: [{ permission: 'all.publish' }] },
  },
  others: ofTenant,
} satisfies PolicyFile

export const defaultPolicy: Policy = read()

function read(): Policy {
  const parsed = parsePolicy(defaultPolicyFile)
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'))
  return parsed.policy
}
