import type { Endpoint } from '@flotilla/node/endpoint-port'
import type { Scope } from '@flotilla/node/scope'

/** Declarations go out so far apart at the least, ms: in a storm of connections many share one write and one commit. */
export const declareEveryMs = 4

/** What the rooms of this edge tell the workers about their subscribers, in order; the first after a silence at once. */
export interface Declarations {
  say(room: string, on: boolean, nonce: string): void
}

export interface DeclarationsDeps {
  readonly scope: Scope
  readonly everyMs: number
  endpoint(): Pick<Endpoint, 'interest'>
}

export function createDeclarations({ scope, everyMs, endpoint }: DeclarationsDeps): Declarations {
  let waiting: { readonly room: string; readonly on: boolean; readonly nonce: string }[] = []
  let saidAtMs = -Infinity

  function sayAll(): void {
    const all = waiting
    waiting = []
    saidAtMs = performance.now()
    for (const { room, on, nonce } of all) endpoint().interest(room, on, nonce)
  }

  return {
    say: (room, on, nonce) => {
      waiting.push({ room, on, nonce })
      if (waiting.length > 1) return
      const waitMs = everyMs - (performance.now() - saidAtMs)
      // What else is said in this turn goes along.
      if (waitMs <= 0) queueMicrotask(sayAll)
      else scope.after(waitMs, sayAll)
    },
  }
}
