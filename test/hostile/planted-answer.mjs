// Loaded before the fleet: some of its answers have a code that nobody knows.
const stringify = JSON.stringify
JSON.stringify = (value, ...rest) =>
  stringify(value?.code === 'BAD_POSITION' ? { ...value, code: 'PLANTED' } : value, ...rest)
