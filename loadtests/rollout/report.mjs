// What a rollout did to the clients, from what each of them saw.

/** The most of `atMs` within any one second that begins at `fromMs` or later. */
export function mostPerSecond(atMs, fromMs = -Infinity) {
  const times = atMs.filter((at) => at >= fromMs).toSorted((a, b) => a - b)
  let most = 0
  let first = 0
  times.forEach((at, i) => {
    while (times[first] <= at - 1_000) first += 1
    most = Math.max(most, i - first + 1)
  })
  return most
}

/** A number for what was seen in order: `hash` of what came before, then event `t` (when it was due, which no other one was) at `seq`. */
export const folded = (hash, seq, t) => Math.imul(Math.imul(hash ^ seq, 0x01000193) ^ Math.round(t * 16), 0x01000193)
export const nothingSeen = 0x11c9dc5

/**
 * Of every client and room `{ room, from, last, delivered, duplicated, disordered, hash }`: positions after which it began and that it
 * reached, how many events it was given, and which ones, in order (`folded`); `left`: it went away before the end. Of what was published: `heads`, room → the last position that was
 * acknowledged; `acknowledged`, how many events of other ids were, from the room's first on; `history`, room → by position, the event that was
 * acknowledged there. A room with more positions than events has one at two of them, one with fewer had two at one place, of which one is lost. `mismatched`: clients that heard something else, or
 * elsewhere, than what was acknowledged.
 */
export function judge(views, { heads, acknowledged, history }) {
  const sum = { lost: 0, duplicated: 0, disordered: 0, mismatched: 0, deliveries: 0 }
  for (const [room, head] of heads) {
    const beyond = head - (acknowledged.get(room) ?? 0)
    sum.duplicated += Math.max(0, beyond)
    sum.lost += Math.max(0, -beyond)
  }
  for (const { room, from, last, left, delivered, duplicated, disordered, hash } of views) {
    const head = left ? last : (heads.get(room) ?? from)
    sum.lost += Math.max(0, head - from - (delivered - duplicated))
    sum.duplicated += duplicated
    sum.disordered += disordered
    sum.deliveries += delivered
    let expected = nothingSeen
    for (let seq = from + 1; seq <= last; seq += 1) expected = folded(expected, seq, history.get(room)?.[seq] ?? -1)
    if (hash !== expected) sum.mismatched += 1
  }
  return sum
}
