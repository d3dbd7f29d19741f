import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const part = process.env['MUTANTS_PART'] ?? ''
const inFleets = new Set(['control', 'feed', 'lane', 'producer', 'store'])
const source = { conditions: ['source'] }

/** The core's own tests, as Stryker runs them: in no project, as its runner knows only one, and in one context, which takes half the time. */
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  resolve: source,
  ssr: { resolve: source },
  test: {
    include: ['packages/core/src/**/*.test.ts', ...(inFleets.has(part) ? ['test/mutants/fleets.ts'] : [])],
    setupFiles: ['test/mutants/skip-volume.ts'],
    isolate: false,
    testTimeout: 30_000,
  },
})
