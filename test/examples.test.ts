import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const root = new URL('..', import.meta.url)
const folder = new URL('out/examples/', root)
/** What an application brings along. */
const application = `
import type { Client, Position } from '@flotilla/client'
declare global {
  const token: string
  const client: Client
  const input: HTMLInputElement
  const form: HTMLFormElement
  function fetchToken(): Promise<string>
  function loadPosition(): Position | undefined
  function reloadConversation(): Promise<void>
  function show(event: string, data: unknown): void
  function banner(text: string): void
  function showTyping(users: readonly string[]): void
  function drawCursor(id: string, x: number, y: number, extra: unknown): void
}
`
const settings = {
  extends: '../../tsconfig.base.json',
  compilerOptions: {
    ...{ composite: false, declaration: false, noEmit: true, lib: ['es2024', 'dom'], types: [] },
    ...{ customConditions: ['source'], allowImportingTsExtensions: true, rewriteRelativeImportExtensions: false },
  },
  include: ['*.ts'],
}

test('[TD11] the examples of README.md and of the client library are TypeScript that compiles', () => {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const examples = ['README.md', 'packages/client/README.md'].flatMap((path) =>
    Array.from(readFileSync(new URL(path, root), 'utf8').matchAll(/```ts\n([^]*?)```/g), ([, code = '']) => code),
  )
  if (examples.length === 0) throw new Error('no example was found')
  examples.forEach((code, i) => writeFileSync(new URL(`example-${i}.ts`, folder), code))
  writeFileSync(new URL('application.ts', folder), application)
  writeFileSync(new URL('tsconfig.json', folder), JSON.stringify(settings))
  const { status, stdout } = spawnSync('npx', ['tsc', '-p', 'out/examples'], { cwd: root, encoding: 'utf8' })
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
}, 60_000)
