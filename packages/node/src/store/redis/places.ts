import { maxAside } from '../port.ts'
import type { PlaceStore } from '../port.ts'
import type { Keys } from './keys.ts'
import { keepPlace } from './lua/keep-place.ts'
import type { Topology } from './topology.ts'

export function redisPlaces(topology: Topology, keys: Keys): PlaceStore {
  return {
    read: async (name) => {
      const reply = await topology.fleet().command('HMGET', [keys.readerPlace(name), 'version', 'text'])
      const [version, text] = reply as [string | null, string | null]
      return version === null || text === null ? null : { version: Number(version), text }
    },
    keep: async (name, version, text) => {
      const [kept] = (await topology.fleet().script(keepPlace, [keys.readerPlace(name)], [version, text])).rest
      return kept === 1
    },
    putAside: async (name, body) => {
      await topology.fleet().command('XADD', [keys.aside(name), 'MAXLEN', '~', maxAside, '*', 'b', body])
    },
    aside: async (name, count) => {
      const fleet = topology.fleet()
      const [total, newest] = await Promise.all([
        fleet.command('XLEN', [keys.aside(name)]),
        fleet.command('XREVRANGE', [keys.aside(name), '+', '-', 'COUNT', count]),
      ])
      const entries = (newest as [id: string, fields: string[]][]).map(([id, fields]) => ({
        id,
        body: fields[1] ?? '',
      }))
      return { total: Number(total), entries }
    },
  }
}
