import type { Hook } from '@flotilla/core/policy-hooks'
import type { Policy } from '@flotilla/core/policy'
import { readSecret } from '@flotilla/node/secret'

const minSecretChars = 16

/** Hooks without a secret to sign with, one line each; without any secret in it. */
export function secretProblems({ hooks }: Policy): readonly string[] {
  const all = [
    ...(hooks.connect === null ? [] : [['connect', hooks.connect] as const]),
    ...Array.from(hooks.rooms, ([name, hook]) => [`rooms.${name}`, hook] as const),
    ...Array.from(hooks.calls, ([name, hook]) => [`calls.${name}`, hook] as const),
  ]
  return all.flatMap(([place, hook]) => problemOf(hook).map((problem) => `hooks.${place}.secret: ${problem}`))
}

function problemOf({ secrets }: Hook): string[] {
  try {
    const isShort = secrets.map(readSecret).some((secret) => secret.length < minSecretChars)
    return isShort ? [`a secret has at least ${minSecretChars} characters`] : []
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  }
}
