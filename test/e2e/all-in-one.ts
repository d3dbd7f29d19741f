import { freePort } from '@flotilla/node/testing/free-port'
import { spawnNode } from '../fleet/process.ts'
import { until } from '../fleet/until.ts'

/** A fleet as `make run` starts it. */
export interface AllInOne {
  readonly edgePort: number
  /** With the printed token after `#`. */
  readonly address: string
  readonly curl: string
  stop(): Promise<void>
}

export const freePorts = (): Promise<number[]> => Promise.all([freePort(), freePort(), freePort()])

export async function startAllInOne(ports: readonly number[]): Promise<AllInOne> {
  const names = ['FLOTILLA_EDGE_PORT', 'FLOTILLA_INGEST_PORT', 'FLOTILLA_CONTROL_PORT']
  const env = Object.fromEntries(names.map((name, index) => [name, String(ports[index])]))
  const child = spawnNode(['scripts/run.mjs'], env)
  let printed = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (printed += text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (printed += text))
  const [, address = '', curl = ''] = await until('the fleet says how to try it', () => {
    if (child.exitCode !== null) throw new Error(`the fleet ended: ${printed}`)
    return /(http:\S+#token=\S+)[^]*\n(curl .+)\n/.exec(printed) ?? undefined
  })
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    await until('the fleet has ended', () => child.exitCode !== null || child.signalCode !== null)
  }
  return { edgePort: ports[0] ?? 0, address, curl, stop }
}
