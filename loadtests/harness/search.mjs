/** A run that failed while somebody else used this many cores of the machine says nothing: it is repeated so often. */
const disturbedCores = 0.3
const disturbedRetries = 2

/** The result of `run`, or of the least disturbed of a few when somebody else used much of the machine. */
export async function leastDisturbed(run) {
  let best = await run()
  for (let i = 0; i < disturbedRetries && best.cores.others > disturbedCores; i += 1) {
    const again = await run()
    if (again.cores.others < best.cores.others) best = again
  }
  return best
}

/** What all server processes cost per delivery or message. */
export const cost = ({ microsecondsPerDelivery, microsecondsPerMessage }) =>
  (microsecondsPerDelivery ?? microsecondsPerMessage).servers

/**
 * Of runs of the same row the one with the median of what it cost (of the two in the middle the lower): a machine that is slower or faster
 * for a moment moves it least. `costs` has what each of them cost, and `yardsticks` what the yardstick did meanwhile.
 */
export function median(rows) {
  const sorted = rows.toSorted((a, b) => cost(a) - cost(b))
  return {
    ...sorted[Math.floor((sorted.length - 1) / 2)],
    costs: rows.map(cost),
    yardsticks: rows.map(({ yardstick }) => yardstick),
  }
}

/** So many runs, one after the other. */
export async function repeated(times, run) {
  const rows = []
  for (let i = 0; i < times; i += 1) rows.push(await run())
  return rows
}

/**
 * The highest rate at which `run(rate)` says `{ ok: true }`: doubled from `from` while it does, then halved in so many
 * steps. What is noise for a moment must not end it, so a rate that fails is tried again up to `retries` times.
 * Returns the best run, or null when not even the first did.
 */
export async function highest({ from, to, halvings, retries }, run) {
  const attempt = async (rate) => {
    for (let tried = 1; ; tried += 1) {
      const result = await run(rate)
      const more = result.cores.others > disturbedCores ? disturbedRetries : 0
      if (result.ok || tried > retries + more) return result
    }
  }
  let best = null
  let failed = null
  for (let rate = from; failed === null && rate <= to; rate *= 2) {
    const result = await attempt(rate)
    if (result.ok) best = result
    else failed = rate
  }
  // Not even the first: somewhere below there may be one that does.
  let [low, high] = [best?.rate ?? 0, failed ?? to]
  for (let i = 0; failed !== null && i < halvings; i += 1) {
    const rate = Math.round((low + high) / 2)
    const result = await attempt(rate)
    if (result.ok) [best, low] = [result, rate]
    else high = rate
  }
  return best
}
