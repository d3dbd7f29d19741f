#!/usr/bin/env node
// In a file of its own, that is there before anything is built: npm links it when it installs.
try {
  await import('../dist/main.js')
} catch (error) {
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
  process.stderr.write('flotilla is not built yet. run: make build\n')
  process.exitCode = 2
}
