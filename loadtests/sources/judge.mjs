/**
 * What became of a stream's events. `stream`: { id, room } in the stream's order, an id that is there twice counts once, where it is first.
 * `rooms`: the ids that a subscriber of each room saw, in its order. `heads`: the last seq of each room's log.
 */
export function judge({ stream, rooms, heads }) {
  const expected = new Map()
  const known = new Set()
  for (const { id, room } of stream) {
    if (known.has(id)) continue
    known.add(id)
    if (!expected.has(room)) expected.set(room, [])
    expected.get(room).push(id)
  }
  const faults = { missing: 0, doubled: 0, foreign: 0, misordered: 0, heads: 0 }
  for (const room of new Set([...expected.keys(), ...rooms.keys()])) {
    const wanted = expected.get(room) ?? []
    const seen = rooms.get(room) ?? []
    const once = [...new Set(seen)]
    const own = new Set(wanted)
    faults.doubled += seen.length - once.length
    faults.foreign += once.filter((id) => !own.has(id)).length
    faults.missing += wanted.length - once.filter((id) => own.has(id)).length
    // An event is out of order when one that the stream has later came before it.
    const places = new Map(wanted.map((id, i) => [id, i]))
    let latest = -1
    for (const id of once) {
      const place = places.get(id) ?? latest
      if (place < latest) faults.misordered += 1
      else latest = place
    }
    if (heads.get(room) !== wanted.length) faults.heads += 1
  }
  return { events: known.size, repeatedInStream: stream.length - known.size, rooms: expected.size, faults }
}
