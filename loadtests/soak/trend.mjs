// Whether something grows.

/**
 * The straight line of least squares through `{ at, value }`: the mean, and by how much the line changes from the first to the
 * last of them, as a share of the mean. Null for fewer than three.
 */
export function trend(points) {
  if (points.length < 3) return null
  const mean = (of) => points.reduce((sum, point) => sum + of(point), 0) / points.length
  const [at, value] = [mean((point) => point.at), mean((point) => point.value)]
  const spread = points.reduce((sum, point) => sum + (point.at - at) ** 2, 0)
  const together = points.reduce((sum, point) => sum + (point.at - at) * (point.value - value), 0)
  const change = (together / spread) * (points.at(-1).at - points[0].at)
  return { mean: value, change, share: value === 0 ? 0 : change / value }
}

/** `share`: what a line may change, up or down. A fall is told apart: it is not flat, and it is no leak. */
export function judge(line, { share, atLeast = 0 }) {
  if (line === null) return 'too short'
  if (Math.abs(line.share) <= share || Math.abs(line.change) <= atLeast) return 'flat'
  return line.change > 0 ? 'GROWS' : 'falls'
}
