import { parts } from './parts.mjs'

const part = process.env['MUTANTS_PART'] ?? ''

/** Of one part (parts.mjs), as scripts/mutants.mjs runs them one after the other. */
export default {
  mutate: parts[part].map((file) => `packages/core/src/${file}.ts`),
  testRunner: 'vitest',
  plugins: ['@stryker-mutator/vitest-runner'],
  vitest: { configFile: 'test/mutants/vitest.config.ts', related: false },
  coverageAnalysis: 'perTest',
  // What runs while a module is loaded belongs to no test: all of them would have to run for each.
  ignoreStatic: true,
  concurrency: 2,
  timeoutMS: 3_000,
  // Stryker's own TypeScript cannot read this version's configuration, and needs none.
  tsconfigFile: 'none',
  tempDirName: `out/mutants/${part}`,
  ignorePatterns: ['out'],
  reporters: ['progress-append-only', 'json'],
  jsonReporter: { fileName: `out/mutants/${part}.json` },
}
