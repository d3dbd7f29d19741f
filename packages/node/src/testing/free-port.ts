import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Below the range from which systems take the ports of outgoing connections: a server that is away for a moment must
 * find its port free again, and a client that dials it meanwhile must not be given that very port and meet itself.
 */
const lowest = 15_000
const highest = 31_999
const attempts = 100
/** A file per port that was given out, with the process that has it: others that run beside it start their servers later. */
const folder = join(tmpdir(), `flotilla-ports-${process.getuid?.() ?? ''}`)
const claimed: string[] = []

process.once('exit', () => {
  for (const file of claimed) rmSync(file, { force: true })
})

/** A loopback port on which nobody listens now, and that no other process is given while this one lives. */
export async function freePort(): Promise<number> {
  mkdirSync(folder, { recursive: true })
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest + 1))
    if (claim(join(folder, String(port))) && (await isFree(port))) return port
  }
  throw new Error(`no free port found in ${attempts} attempts`)
}

function claim(file: string): boolean {
  try {
    writeFileSync(file, String(process.pid), { flag: 'wx' })
    claimed.push(file)
    return true
  } catch {
    // One that was left behind by a process that was killed is not taken now, only the next time.
    if (!ownerLives(file)) rmSync(file, { force: true })
    return false
  }
}

function ownerLives(file: string): boolean {
  try {
    process.kill(Number(readFileSync(file, 'utf8')), 0)
    return true
  } catch (error) {
    // Another user's process lives and cannot be asked.
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
