import type { Kind, Requests } from './requests.ts'
import { fieldsOf } from './wire.ts'

export interface CallOptions {
  /** Rejects after this, ms; 20,000 when it is left out. */
  readonly timeoutMs?: number
}

/** A call that is on its way when the connection goes may have been done: it is not made again. */
export const callKind: Kind = { type: 'call', maxInFlight: 16, repeats: false }
const defaultTimeoutMs = 20_000

export async function call(
  requests: Requests,
  { method, params }: { readonly method: string; readonly params: unknown },
  { timeoutMs = defaultTimeoutMs }: CallOptions,
): Promise<unknown> {
  const fields = fieldsOf({ method, params: params ?? null })
  const answer = await requests.ask(fields, `${method} was not answered`, timeoutMs)
  return answer.type === 'result' ? answer.data : undefined
}
