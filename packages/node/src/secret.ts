import { readFileSync } from 'node:fs'
import type { SecretPlace } from '@flotilla/core/policy-hooks'

/** @throws Error that names the place, when there is nothing. */
export function readSecret(place: SecretPlace): string {
  if ('env' in place) {
    const value = process.env[place.env] ?? ''
    if (value === '') throw new Error(`the variable ${place.env} is not set`)
    return value
  }
  let text: string
  try {
    text = readFileSync(place.file, 'utf8').trim()
  } catch (error) {
    throw new Error(`${place.file} cannot be read (${codeOf(error)})`, { cause: error })
  }
  if (text === '') throw new Error(`${place.file} is empty`)
  return text
}

/** `ENOENT` and the like. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}
