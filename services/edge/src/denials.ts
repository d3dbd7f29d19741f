import { indexDenials, noDenials } from '@flotilla/core/denials'
import type { Denials } from '@flotilla/core/denials'
import type { Log } from '@flotilla/node/log'
import type { Scope } from '@flotilla/node/scope'
import type { Store } from '@flotilla/node/store/port'

/** How often an edge asks whether somebody is denied, ms: it has to hold on every edge within a second. */
const askEveryMs = 250

/** Who is denied the fleet, as this edge knows it. */
export interface DenialSource {
  readonly current: Denials
}

/**
 * Reads them once, then whenever they change, and tells `onChange`. While the store does not answer those that are known hold on.
 * Rejects when they cannot be read at the start: nobody may come in who is denied.
 */
export async function watchDenials(
  { fleet }: Pick<Store, 'fleet'>,
  { log, scope, onChange }: { readonly log: Log; readonly scope: Scope; onChange(denials: Denials): void },
): Promise<DenialSource> {
  const read = async (known: Denials): Promise<Denials> => {
    const list = await fleet.denials(known.version)
    return list === undefined ? known : indexDenials(list)
  }
  let current = await read(noDenials)
  let failing = false
  scope.every(askEveryMs, async () => {
    try {
      const now = await read(current)
      failing = false
      if (now === current) return
      current = now
      onChange(now)
    } catch (error) {
      if (!failing) log.warn('denials could not be read, those that are known hold on', { err: error })
      failing = true
    }
  })
  return {
    get current() {
      return current
    },
  }
}
