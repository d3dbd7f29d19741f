/**
 * What stands for every map of a feed that has nothing in it. There is a feed for each user that is connected, nearly all
 * of them at rest, and three empty maps would take half a kilobyte.
 */
const nothing: ReadonlyMap<never, never> = new Map<never, never>()

export function emptyMap<K, V>(): ReadonlyMap<K, V> {
  return nothing
}

/** The map to keep instead: it may be a new one. */
export function put<K, V>(map: ReadonlyMap<K, V>, key: K, value: V): ReadonlyMap<K, V> {
  const own = map === nothing ? new Map<K, V>() : (map as Map<K, V>)
  return own.set(key, value)
}

/** The map to keep instead; whoever walks through the one from before does not meet the key any more. */
export function without<K, V>(map: ReadonlyMap<K, V>, key: K): ReadonlyMap<K, V> {
  if (map !== nothing) (map as Map<K, V>).delete(key)
  return map.size === 0 ? nothing : map
}
