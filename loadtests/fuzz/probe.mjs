// Loaded into the fleet under test: says what memory it takes once what is garbage is gone.
process.on('message', () => {
  globalThis.gc()
  const { rss, heapUsed, external } = process.memoryUsage()
  process.send({ rss, heapUsed, external })
})
// Nothing outlives the run, however it ends.
process.on('disconnect', () => process.exit(1))
// To be asked is no reason to stay.
process.channel.unref()
