// Serves the examples beside a fleet that runs: `node examples/serve.mjs`, then open what it prints. For trying things out: it gives
// a token to whoever asks for one, by the public development secret, as `make run` has it.
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { build } from 'esbuild'
import { DEVELOPMENT_SECRET, signToken } from '@flotilla/node/jwt'

const port = Number(process.env.EXAMPLES_PORT ?? 8090)
const edgePort = Number(process.env.FLOTILLA_EDGE_PORT ?? 8080)
const host = '127.0.0.1'
const pages = ['chat', 'cursors', 'dashboard', 'agent']
const tenant = 'acme'

/** The client library as a browser takes it. An application's own bundler does this. */
async function bundle() {
  const entry = join(import.meta.dirname, '../packages/client/src/client.ts')
  const options = { bundle: true, format: 'esm', target: 'es2022', conditions: ['source'], write: false }
  const { outputFiles } = await build({ entryPoints: [entry], ...options })
  return outputFiles[0].text
}

const library = await bundle()
const server = createServer((request, response) => {
  void answer(new URL(request.url ?? '/', 'http://localhost')).then(({ status = 200, type, body }) => {
    response.writeHead(status, { 'Content-Type': `${type}; charset=utf-8`, 'Cache-Control': 'no-store' }).end(body)
  })
})

async function answer({ pathname, searchParams }) {
  const page = pathname === '/' ? pages[0] : pathname.slice(1)
  if (pages.includes(page))
    return { type: 'text/html', body: await readFile(join(import.meta.dirname, `${page}.html`)) }
  if (pathname === '/flotilla.js') return { type: 'text/javascript', body: library }
  if (pathname === '/favicon.ico') return { status: 204, type: 'image/x-icon', body: '' }
  if (pathname !== '/token') return { status: 404, type: 'text/plain', body: 'There is no such page.' }
  const sub = /^[\w .-]{1,32}$/.exec(searchParams.get('name') ?? '')?.[0]
  if (sub === undefined) return { status: 400, type: 'text/plain', body: 'name: 1 to 32 letters, digits, spaces' }
  return { type: 'text/plain', body: signToken({ secret: DEVELOPMENT_SECRET, sub, tenant, ttlSeconds: 3_600 }) }
}

// A page may open sockets to its own host only, unless the fleet says otherwise (FLOTILLA_ORIGINS): so they go through here.
server.on('upgrade', ({ method, url, rawHeaders }, socket, head) => {
  const edge = connect(edgePort, host, () => {
    const pairs = rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${rawHeaders[i + 1]}`] : []))
    edge.write(`${method} ${url} HTTP/1.1\r\n${pairs.join('\r\n')}\r\n\r\n`)
    edge.write(head)
    edge.pipe(socket).pipe(edge)
  })
  edge.on('error', () => socket.destroy())
  socket.on('error', () => edge.destroy())
})

server.listen(port, host, () => {
  for (const page of pages) console.log(`http://localhost:${port}/${page}`)
})
