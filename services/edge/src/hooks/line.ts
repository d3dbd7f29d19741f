import { createCircuit, failed, mayAsk, succeeded } from '@flotilla/core/circuit'
import type { Hook } from '@flotilla/core/policy-hooks'
import { post } from './post.ts'
import type { Posted } from './post.ts'

/** `retryAfterMs`: the service is not asked for so long, as it failed again and again. */
export type Outcome = Posted & { readonly retryAfterMs?: number }

/** The way to one service: so many questions at a time, the others in a line, and none while it fails. */
export interface Line {
  readonly hook: Hook
  readonly inFlight: number
  readonly isOpen: boolean
  /** Never rejects. */
  ask(body: string): Promise<Outcome>
}

/** Questions that wait for their turn; each is a client's, or a room's. */
const maxWaiting = 10_000

interface Waiting {
  readonly untilMs: number
  go(): void
  stop(): void
}

export function createLine(hook: Hook): Line {
  const circuit = createCircuit()
  const waiting: Waiting[] = []
  let inFlight = 0

  async function send(body: string, deadlineMs: number): Promise<Outcome> {
    const retryAfterMs = mayAsk(circuit, performance.now())
    if (retryAfterMs > 0) return { type: 'failed', sent: false, detail: 'it failed again and again', retryAfterMs }
    inFlight += 1
    const signal = AbortSignal.timeout(Math.max(1, Math.ceil(deadlineMs - performance.now())))
    const outcome = await post({ url: hook.url, body, secrets: hook.secrets, signal })
    inFlight -= 1
    if (outcome.type === 'answered') succeeded(circuit)
    else failed(circuit, performance.now())
    next()
    return outcome
  }

  /** A question that has waited for half of its time is not sent any more: the service would have too little for its answer. */
  function next(): void {
    while (inFlight < hook.maxInFlight) {
      const first = waiting.shift()
      if (first === undefined) return
      if (performance.now() < first.untilMs) first.go()
      else first.stop()
    }
  }

  return {
    hook,
    get inFlight() {
      return inFlight
    },
    get isOpen() {
      return circuit.openUntilMs > performance.now()
    },
    ask: (body) => {
      const nowMs = performance.now()
      const [deadlineMs, untilMs] = [nowMs + hook.timeoutMs, nowMs + hook.timeoutMs / 2]
      if (inFlight < hook.maxInFlight) return send(body, deadlineMs)
      const full: Outcome = { type: 'failed', sent: false, detail: 'too many questions wait for it' }
      if (waiting.length >= maxWaiting) return Promise.resolve(full)
      return new Promise((resolve) => {
        waiting.push({ untilMs, go: () => resolve(send(body, deadlineMs)), stop: () => resolve(full) })
      })
    },
  }
}
