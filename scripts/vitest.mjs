// One run of the tests. In a process group of its own: whatever its tests have started ends with it, however it ends.
import { spawn } from 'node:child_process'
import { once } from 'node:events'

/** Resolves with the exit code. `seconds`: after so long it is ended, and said so. */
export async function runVitest(args, { seconds, cwd, output = 'inherit' }) {
  const all = ['node_modules/vitest/vitest.mjs', 'run', ...args]
  const child = spawn(process.execPath, all, { cwd, stdio: ['ignore', output, output], detached: true })
  const end = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // Already gone.
    }
  }
  const interrupt = () => {
    end()
    process.exit(130)
  }
  process.once('SIGINT', interrupt)
  process.once('SIGTERM', interrupt)
  const timer = setTimeout(() => {
    console.log(`== ${args.join(' ')} is ended after ${seconds} s`)
    end()
  }, seconds * 1_000)
  const [code] = await once(child, 'exit')
  clearTimeout(timer)
  process.off('SIGINT', interrupt)
  process.off('SIGTERM', interrupt)
  end()
  return code
}
