/**
 * Rules that the promises rest on, each left out on purpose: `find` (once in `file`) becomes `replace`, and then the test
 * of that name must fail. make mutations applies each.
 */
export const mutations = [
  {
    rule: 'the fence, in the model of the store',
    file: 'packages/core/src/store-commit.ts',
    find: "if (text?.startsWith(commit.expect) === true) return 'match'",
    replace: "if (text !== undefined) return 'match'",
    tests: { project: 'unit', file: 'packages/node/src/store/memory.test.ts', name: '[CO2]' },
  },
  {
    rule: 'the fence, in Redis',
    file: 'packages/node/src/store/redis/lua/commit.ts',
    find: 'if found and string.sub(found, 1, #expect) == expect then',
    replace: 'if found then',
    tests: { project: 'redis', file: 'packages/node/src/store/redis/redis.redis.test.ts', name: '[CO2]' },
  },
  {
    rule: 'the marks of producers',
    file: 'packages/core/src/consume.ts',
    find: "if (entry.k === last + 1) return { type: 'take' }",
    replace: "if (entry.k >= 1) return { type: 'take' }",
    tests: { project: 'unit', file: 'packages/core/src/consume.test.ts', name: '[LN1]' },
  },
  {
    rule: 'vouching, in the model of the store',
    file: 'packages/core/src/store-model.ts',
    find: 'stored !== undefined && stored.run === this.run && ',
    replace: 'stored !== undefined && ',
    tests: { project: 'unit', file: 'packages/node/src/store/memory.test.ts', name: '[CL5]' },
  },
  {
    rule: 'vouching, in Redis',
    file: 'packages/node/src/store/redis/lua/claim.ts',
    find: "now ~= '' and srun == now and se >= confirmed",
    replace: "now ~= '' and se >= confirmed",
    tests: { project: 'redis', file: 'packages/node/src/store/redis/redis.redis.test.ts', name: '[CL5]' },
  },
  {
    rule: 'the list of replaced runs, in Redis',
    file: 'packages/node/src/store/redis/lua/claim.ts',
    find: 'if replaced == now and se <= tonumber(till) then',
    replace: 'if false then',
    tests: { project: 'redis', file: 'packages/node/src/store/redis/redis.redis.test.ts', name: '[CL12]' },
  },
  {
    rule: 'vouching, by the owner: a run is written only with all of the chain',
    file: 'packages/core/src/lane-recovery.ts',
    find: 'if (!own.needsClaim && own.run !== state.run) prefixes.set(own.slot, ownPrefix(own))',
    replace: 'own.run = own.run',
    tests: { project: 'unit', file: 'packages/core/src/lane-commits.test.ts', name: '[LN10]' },
  },
  {
    rule: 'the generation of a producer',
    file: 'packages/core/src/producer-window.ts',
    find: 'if (input.generation > state.generation || input.from < first) {',
    replace: 'if (input.generation > state.generation) {',
    tests: { project: 'unit', file: 'packages/core/src/producer.test.ts', name: '[PR10]' },
  },
  {
    rule: 'the check for holes in an outbox',
    file: 'packages/node/src/endpoint-outbox.ts',
    find: "position.after !== '0-0' && entry.id !== idAfter(position.after)",
    replace: "position.after === 'never'",
    tests: { project: 'unit', file: 'packages/node/src/endpoint.test.ts', name: '[EP4]' },
  },
  {
    rule: 'single flight of replays',
    file: 'packages/core/src/feed-history.ts',
    find: "if (fetch.purpose !== 'replay' || fetch.after !== seq) continue",
    replace: "if (fetch.purpose !== 'replay' || fetch.after !== -1) continue",
    tests: { project: 'unit', file: 'packages/core/src/feed.test.ts', name: '[RS4]' },
  },
  {
    rule: 'the budget of reconnects, split over edges',
    file: 'packages/core/src/control-drains.ts',
    find: '(perSecond * share) / leaving.length',
    replace: 'perSecond',
    tests: { project: 'unit', file: 'packages/core/src/control-drains.test.ts', name: '[CT18]' },
  },
  {
    rule: 'the budget of reconnects, at the edge',
    file: 'packages/core/src/drain.ts',
    find: 'Math.min(untold, Math.floor(allowed))',
    replace: 'untold',
    tests: { project: 'unit', file: 'packages/core/src/drain.test.ts', name: '[DR2]' },
  },
]
