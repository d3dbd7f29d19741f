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

/**
 * Of every client and room `{ room, from, last, delivered, duplicated, disordered }`: positions after which it began and that it
 * reached, and how many events it was given. `heads`: room → the last position that was acknowledged, `acknowledged`: how many events of
 * other ids were, from the room's first on. A room with more positions than that has an event at two of them.
 */
export function judge(views, { heads, acknowledged }) {
  const sum = { lost: 0, duplicated: 0, disordered: 0, deliveries: 0 }
  for (const [room, head] of heads) sum.duplicated += Math.max(0, head - (acknowledged.get(room) ?? 0))
  for (const { room, from, delivered, duplicated, disordered } of views) {
    sum.lost += Math.max(0, (heads.get(room) ?? from) - from - (delivered - duplicated))
    sum.duplicated += duplicated
    sum.disordered += disordered
    sum.deliveries += delivered
  }
  return sum
}
