import { defineConfig } from 'vitest/config'

const source = { resolve: { conditions: ['source'] }, ssr: { resolve: { conditions: ['source'] } } }

export default defineConfig({
  ...source,
  test: {
    projects: [
      {
        ...source,
        test: {
          name: 'unit',
          include: [
            'packages/*/src/**/*.test.ts',
            'services/*/src/**/*.test.ts',
            'test/*.test.ts',
            'test/faults/**/*.test.ts',
            'loadtests/**/*.test.mjs',
          ],
          exclude: ['**/*.redis.test.ts', 'test/faults/campaign.test.ts', '**/node_modules/**'],
          // Properties and large texts take a second or two each, and ten times that on a busy machine.
          testTimeout: 30_000,
        },
      },
      { ...source, test: { name: 'chart', include: ['test/chart/**/*.test.ts'], testTimeout: 60_000 } },
      {
        ...source,
        test: { name: 'redis', include: ['**/*.redis.test.ts'], exclude: ['**/node_modules/**'], testTimeout: 30_000 },
      },
      { ...source, test: { name: 'sim', include: ['packages/core/sim/**/*.test.ts'], testTimeout: 600_000 } },
      {
        ...source,
        test: { name: 'faults', include: ['test/faults/campaign.test.ts'], testTimeout: 300_000 },
      },
      {
        ...source,
        test: { name: 'e2e', include: ['test/e2e/**/*.test.ts'], testTimeout: 300_000, fileParallelism: false },
      },
    ],
  },
})
