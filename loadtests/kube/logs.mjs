// What every process of the fleet logged, also of pods that are gone by now: a file each, in out/kube-logs.
import { spawn } from 'node:child_process'
import { createWriteStream, mkdirSync, rmSync } from 'node:fs'
import { sleep } from '../harness/processes.mjs'

const lookEveryMs = 1_000
const folder = 'out/kube-logs'

/** `pods()`: `{ name, uid }` of those that run. `follow(pod)`: the command line, as `[program, ...args]`, that prints the log of a pod while it is written. Ends with `stop()`. */
export function keepLogs({ pods, follow }) {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const followers = new Map()
  let stopped = false

  async function look() {
    // The API server is made to hang: what cannot be asked now is asked again.
    for (const { name, uid } of await pods().catch(() => [])) {
      if (followers.get(uid)?.exitCode === null) continue
      const [program, ...args] = follow(name)
      const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] })
      child.stdout.pipe(createWriteStream(`${folder}/${name}-${uid.slice(0, 8)}.log`))
      followers.set(uid, child)
    }
  }
  const done = (async () => {
    while (!stopped) {
      await look()
      await sleep(lookEveryMs)
    }
  })()
  return {
    stop: async () => {
      stopped = true
      await done
      for (const child of followers.values()) child.kill()
    },
  }
}
