import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { startMeter } from '../../fleet/metrics.ts'
import type { Metered } from '../../fleet/metrics.ts'

interface Fake extends Metered {
  running: boolean
  stopped: boolean
  pid: number | undefined
  /** What it counts; undefined: it does not answer. */
  count: number | undefined
}

/** A process that has nothing but its metrics. */
async function fakeProcess(count: number): Promise<Fake> {
  const server = createServer((_, response) => {
    if (fake.count === undefined || fake.stopped) return void response.destroy()
    response.end(`# HELP moves_total x\nmoves_total{reason="orphan"} ${fake.count}\nmoves_total{reason="drain"} 7\n`)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  const fake: Fake = { name: 'control-1', adminPort: port, running: true, stopped: false, pid: 1, count }
  return fake
}

test('[FA5] what a process counted before it was killed still counts, and what it counts in its next life is added', async () => {
  const process = await fakeProcess(5)
  const total = await startMeter([process])
  const orphans = (): Promise<number> => total([process], 'moves_total', 'orphan')
  expect(await total([process], 'moves_total')).toBe(12)
  process.running = false
  expect(await orphans()).toBe(5)
  Object.assign(process, { running: true, pid: 2, count: 1 })
  expect(await orphans()).toBe(6)
  Object.assign(process, { pid: 3, count: 2 })
  expect(await orphans()).toBe(8)
})

test('[FA5] a process that is stopped counts as it did, one that runs and does not answer cannot be judged', async () => {
  const process = await fakeProcess(5)
  const total = await startMeter([process])
  process.stopped = true
  expect(await total([process], 'moves_total', 'orphan')).toBe(5)
  Object.assign(process, { stopped: false, count: undefined })
  await expect(total([process], 'moves_total')).rejects.toThrow('could not be judged: control-1 did not answer')
})
