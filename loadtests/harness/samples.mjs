/** Milliseconds since 1970 with a fraction: the same in every process of this machine. */
export const clock = () => performance.timeOrigin + performance.now()

/** The value below which the share `p` of the values lies; null without values. */
function percentile(sorted, p) {
  return sorted.length === 0 ? null : sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))]
}

/** p50 and p99 of latencies, ms. */
export function latencies(samples) {
  const sorted = Float64Array.from(samples).sort()
  return { p50Ms: percentile(sorted, 0.5), p99Ms: percentile(sorted, 0.99), samples: sorted.length }
}
