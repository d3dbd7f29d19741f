import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '@flotilla/node/testing/free-port'
import { until } from '../fleet/until.ts'

export interface Nginx {
  /** Where clients and posts come to. */
  readonly wsPort: number
  readonly ingestPort: number
  close(): Promise<void>
}

const configuration = new URL('../../deploy/compose/nginx.conf', import.meta.url)
/** Folders that it makes, which Debian's puts where only root may. */
const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

/** The nginx of deploy/compose, with `upstreams` (`edge-1:8080` → port on this machine) in place of its names. */
export async function startNginx(upstreams: ReadonlyMap<string, number>): Promise<Nginx> {
  const folder = mkdtempSync(join(tmpdir(), 'flotilla-nginx-'))
  const [wsPort, ingestPort] = [await freePort(), await freePort()]
  let text = readFileSync(configuration, 'utf8')
  // Debian's version resolves names at its start only, and these have none.
  for (const [name, port] of upstreams) text = text.replace(`server ${name} resolve `, `server 127.0.0.1:${port} `)
  for (const [from, to] of [
    ['8080', wsPort],
    ['8081', ingestPort],
  ])
    text = text.replace(`listen ${from};`, `listen 127.0.0.1:${to};`)
  const paths = temporary.map((name) => `${name}_temp_path ${join(folder, name)};`).join(' ')
  const path = join(folder, 'nginx.conf')
  writeFileSync(path, text.replace('access_log off;', `access_log off; ${paths}`))
  const own = `daemon off; error_log stderr warn; pid ${join(folder, 'pid')};`
  const child = spawn('nginx', ['-p', folder, '-c', path, '-g', own], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (said += chunk))
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()).once('error', () => resolve()))
  const close = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
    rmSync(folder, { recursive: true, force: true })
  }
  await until('nginx listens', () => isOpen(wsPort)).catch(async (error: unknown) => {
    await close()
    throw new Error(`${String(error)}\n${said}`)
  })
  return { wsPort, ingestPort, close }
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(socket.destroy() !== undefined))
    socket.on('error', () => resolve(false))
  })
}
