// From what failed to the least of it that still does.

/**
 * The shortest part of `list` found that still fails, by leaving out ever smaller pieces (delta debugging). `fails` is asked
 * `attempts` times at the most.
 */
export async function smallest(list, fails, attempts) {
  let [rest, left] = [list, attempts]
  let pieces = 2
  while (rest.length > 1 && left > 0) {
    const size = Math.ceil(rest.length / pieces)
    let isSmaller = false
    for (let at = 0; at < rest.length && left > 0; at += size) {
      const without = [...rest.slice(0, at), ...rest.slice(at + size)]
      if (without.length === 0) continue
      left -= 1
      if (!(await fails(without))) continue
      rest = without
      isSmaller = true
      break
    }
    if (isSmaller) pieces = Math.max(2, pieces - 1)
    else if (size === 1) break
    else pieces = Math.min(rest.length, pieces * 2)
  }
  return rest
}
