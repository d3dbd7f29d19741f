import type { FaultReport, Report } from './report.ts'

/** docs/faults.md: what the whole campaign found. */
export function renderPage(report: Report, on: { readonly date: string; readonly redis: string }): string {
  const { faults } = report
  const runs = faults.reduce((total, { seeds }) => total + seeds.length, 0)
  const mayLose = faults.filter((each) => each.mayLose)
  const sum = (of: (fault: FaultReport) => number): number => mayLose.reduce((total, each) => total + of(each), 0)
  return `# Faults

What \`make faults\` found on ${on.date}, with ${on.redis} and Node ${process.versions.node}, on one machine, at commit ${report.commit}: ${faults.length} faults, ${runs}
runs, **${figure(report.acknowledged)} acknowledged messages, ${figure(report.delivered)} deliveries, ${report.violations} violations**. This page is written by that command; \`out/faults.json\` has
the same for machines.

Each run is a fleet of its own, of processes over a real Redis, with clients and publishes under way: clients of the library,
and clients without one that note every frame as it comes. The fault happens, is over, and the load goes on. Then the history
of all publishers and clients and the rooms' logs are judged (\`test/faults/checks\`): nothing acknowledged is lost, nothing is
there that was refused or never published, nothing is there twice, every client and the log agree on one order without a hole,
one place names one message, every publish has an outcome and none contradicts another, and every room takes publishes again in
time. Of what was acknowledged, before the fault too, some is published again when the fleet is whole, under its key and through
another edge where the user may be connected twice: ${figure(report.repeated)} times it was answered, each with the place it had. In runs with an odd seed every user may have one connection, so clients come back by their tickets, and what counts at the end is what is open. Each check is itself proved on histories with a planted violation. A run in which the fault did not happen fails.

Where Redis's own settings allow it to lose what it acknowledged (its file or memory is gone together with the owner of the
slot, or it has none) every subscriber of the message must have been told (\`recovered: false\`): in the runs of these faults
${figure(sum((each) => each.lostAndTold))} acknowledged messages were lost, and clients were told ${figure(sum((each) => each.told))} times. In all other runs nobody may be told of a loss, but \`trimmed\` where the fault itself
trims a log, and \`expired\` where the clocks of worker and edge are made to differ by an hour.

Repeat one run with \`make faults FAULTS=<name> SEEDS=<seed>\`; its history is in \`out/faults\` when it found something.

| fault | what happens | seeds | acknowledged | unknown | refused | lost and told | healed after, ms | violations |
|---|---|---|---|---|---|---|---|---|
${faults.map(row).join('\n')}

*Healed after*: the slowest room's first acknowledgement of a publish that began after the fault was over; of all runs the
smallest and the largest.

## That they happened

What each fault counted while it happened, per run.

| fault | counted |
|---|---|
${faults.map(evidenceRow).join('\n')}
${violations(report)}`
}

const figure = (count: number): string => count.toLocaleString('en-US')

function row(fault: FaultReport): string {
  const { name, about, seeds, acknowledged, unknown, refused, lostAndTold, healMs, violations: found } = fault
  const healed = healMs.filter((each) => each !== null)
  const [least, most] = [Math.min(...healed), Math.max(...healed)]
  const range = healed.length === 0 ? '–' : least === most ? figure(least) : `${figure(least)} – ${figure(most)}`
  const lost = fault.mayLose ? figure(lostAndTold) : '–'
  const cells = [`\`${name}\``, about, seeds.join(', '), figure(acknowledged), figure(unknown), figure(refused), lost]
  return `| ${[...cells, range, found.length].join(' | ')} |`
}

function evidenceRow({ name, injected }: FaultReport): string {
  const names = [...new Set(injected.flatMap((each) => Object.keys(each)))]
  const counted = names.map((each) => `${each} ${injected.map((figures) => figure(figures[each] ?? 0)).join(', ')}`)
  return `| \`${name}\` | ${counted.join('; ')} |`
}

function violations({ faults }: Report): string {
  const found = faults.flatMap(({ name, violations: each }) => each.slice(0, 5).map((text) => `- \`${name}\`, ${text}`))
  return found.length === 0 ? '' : `\n## Violations\n\n${found.join('\n')}\n`
}
