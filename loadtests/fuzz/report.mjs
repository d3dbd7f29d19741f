import { judge, trend } from '../soak/trend.mjs'

/** Publish keys and history of two minutes fill first, s. */
const settleSeconds = 180
/** What the line through the rest may change, of its mean, or else altogether: a few bytes for each input. */
const memoryShare = 0.05
const memoryBytes = 10_485_760
/** What the fleet may take at any time. */
const maxRssBytes = 1_073_741_824
const mb = (bytes) => Math.round(bytes / 104_857.6) / 10

/** First, last and most of the resident memory after a collection, and whether it grows once it has settled. */
export function memoryOf(samples) {
  const rest = samples.filter(({ seconds }) => seconds >= settleSeconds)
  const line = (of) => trend(rest.map((sample) => ({ at: sample.seconds, value: of(sample) })))
  const kinds = { rss: ({ rss }) => rss, heapUsed: ({ heapUsed }) => heapUsed }
  const rows = Object.entries(kinds).map(([name, of]) => {
    const all = samples.map(of)
    const fit = line(of)
    return {
      ...{
        name,
        firstMb: mb(all[0]),
        settledMb: rest.length === 0 ? null : mb(of(rest[0])),
        lastMb: mb(all.at(-1)),
        mostMb: mb(Math.max(...all)),
      },
      ...{ share: fit?.share ?? null, verdict: judge(fit, { share: memoryShare, atLeast: memoryBytes }) },
    }
  })
  const grows = rows.find(({ verdict }) => verdict === 'GROWS')
  const most = Math.max(...samples.map(({ rss }) => rss))
  const fault =
    grows !== undefined ? `${grows.name} grows` : most > maxRssBytes ? `${mb(most)} MB are resident` : undefined
  return { settleSeconds, rows, ...(fault === undefined ? {} : { failure: { fault } }) }
}

function table(head, rows) {
  const all = [head, ...rows.map((row) => row.map(String))]
  const widths = head.map((_, i) => Math.max(...all.map((row) => row[i].length)))
  return all
    .map((row) =>
      row
        .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** What was sent, what came back, and memory, for people. */
export function tables({ seed, decoders, run, memory }) {
  const percent = (share) => (share === null ? '–' : `${(share * 100).toFixed(1)} %`)
  const { inputs, frames, requests, seconds, heard, logged } = run
  return [
    `seed ${seed}: ${frames} frames and handshakes, ${requests} requests (${inputs} in all) in ${Math.round(seconds)} s; the watcher heard ${heard} events; logged: ${logged.error} errors, ${logged.warn} warnings`,
    table(['texts to decoders', 'how many'], decoders.rows),
    table(['sent', 'how many'], run.sent),
    table(['came back', 'how many'], run.back),
    table(
      [
        'memory after a collection, MB',
        'first',
        `after ${memory.settleSeconds} s`,
        'last',
        'most',
        'change since then',
        '',
      ],
      memory.rows.map(({ name, firstMb, settledMb, lastMb, mostMb, share, verdict }) => [
        name,
        firstMb,
        settledMb ?? '–',
        lastMb,
        mostMb,
        percent(share),
        verdict,
      ]),
    ),
  ].join('\n\n')
}
