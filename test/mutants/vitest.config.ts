import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const part = process.env['MUTANTS_PART'] ?? ''
/** Beside the core's own tests: whole fleets, and what the packages beside it ask of the parts that they run. */
const fleets = 'test/mutants/fleets.ts'
const small = 'test/mutants/small.ts'
const contract = 'packages/node/src/store/memory.test.ts'
const more: Readonly<Record<string, readonly string[]>> = {
  entries: [fleets],
  control: [fleets],
  feed: [fleets],
  lane: [fleets, small, contract],
  producer: [fleets, 'packages/node/src/endpoint-acks.test.ts', 'packages/node/src/endpoint-producers.test.ts'],
  store: [fleets, small, contract],
}
const core = fileURLToPath(new URL('../../packages/core/src/', import.meta.url))
const source = {
  conditions: ['source'],
  // Stryker changes a copy, and the workspace's link leads to the original.
  alias: [{ find: /^@flotilla\/core\/(.*)$/, replacement: `${core}$1.ts` }],
}

/** The core's own tests, as Stryker runs them: in no project, as its runner knows only one, and in one context, which takes half the time. */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  resolve: source,
  ssr: { resolve: source },
  test: {
    include: ['packages/core/src/**/*.test.ts', ...(more[part] ?? [])],
    setupFiles: ['test/mutants/skip-volume.ts'],
    isolate: false,
    testTimeout: 30_000,
  },
})
