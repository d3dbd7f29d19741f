import type { Evidence } from './fault.ts'

/** What the fault counted, and by how much everything else grew: what the start of the fleet made proves nothing. */
export function evidenceOf(counted: Evidence, before: Evidence, after: Evidence): Evidence {
  const grown = Object.entries(after).map(([what, figure]) => [what, figure - (before[what] ?? 0)] as const)
  return { ...counted, ...Object.fromEntries(grown) }
}

/** What is missing of the proof that the fault happened, and what happened that must not, by the names of the figures. */
export function unproved(evidence: Evidence, never: readonly string[] = []): string[] {
  const figures = Object.entries(evidence).filter(([what]) => !never.includes(what))
  if (figures.length === 0) return ['it did not happen: nothing was counted']
  return [
    ...figures.flatMap(([what, figure]) => (figure > 0 ? [] : [`it did not happen: ${what} is ${figure}`])),
    ...never.flatMap((what) => mustNot(what, evidence[what])),
  ]
}

function mustNot(what: string, figure: number | undefined): string[] {
  if (figure === 0) return []
  return [`it must not happen: ${what} is ${figure ?? 'not counted'}`]
}
