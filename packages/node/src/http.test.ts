import { once } from 'node:events'
import { connect } from 'node:net'
import express from 'express'
import { afterEach, describe, expect, test } from 'vitest'
import { createAdminServer, notFound, problem, problemErrors, serverLimits } from './http.ts'
import type { AdminOptions, AdminServer } from './http.ts'
import { createLog } from './log.ts'
import { createMetrics } from './metrics.ts'

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

function capturedLog() {
  let text = ''
  const log = createLog({ service: 'test', level: 'debug', destination: { write: (line) => void (text += line) } })
  return { log, text: () => text }
}

async function admin(options: Partial<AdminOptions> = {}): Promise<{ server: AdminServer; base: string }> {
  const server = await createAdminServer({
    port: 0,
    host: '127.0.0.1',
    metrics: createMetrics({ service: 'test' }),
    log: capturedLog().log,
    live: {},
    ready: {},
    ...options,
  })
  closers.push(() => server.close())
  return { server, base: `http://127.0.0.1:${server.port}` }
}

async function get(url: string, init?: RequestInit) {
  const response = await fetch(url, init)
  const type = response.headers.get('content-type') ?? ''
  const body: unknown = type.includes('json') ? await response.json() : await response.text()
  return { status: response.status, type, headers: response.headers, body }
}

describe('admin server', () => {
  test('[HT1] health answers with the state of every check (OP4)', async () => {
    let redis = true
    const { base } = await admin({
      live: { loop: () => ({ ok: true }) },
      ready: {
        redis: async () => (redis ? { ok: true } : { ok: false, detail: 'no write for 3 s' }),
        plan: () => ({ ok: true }),
      },
    })
    expect(await get(`${base}/livez`)).toMatchObject({
      status: 200,
      body: { status: 'ok', checks: { loop: { ok: true } } },
    })
    expect(await get(`${base}/readyz?verbose`)).toMatchObject({ status: 200 })
    redis = false
    expect(await get(`${base}/readyz`)).toMatchObject({
      status: 503,
      body: { status: 'failing', checks: { redis: { ok: false, detail: 'no write for 3 s' }, plan: { ok: true } } },
    })
  })

  test('[HT2] a check that throws or hangs has failed; its message shows no password', async () => {
    const { base } = await admin({
      ready: {
        throws: () => {
          throw new Error('redis://:canary@cache is away')
        },
        rejects: () => Promise.reject(new Error('no')),
        hangs: () => new Promise(() => {}),
      },
    })
    const { status, body } = await get(`${base}/readyz`)
    expect(status).toBe(503)
    expect(body).toMatchObject({
      checks: {
        throws: { ok: false, detail: 'redis://:***@cache is away' },
        rejects: { ok: false, detail: 'no' },
        hangs: { ok: false, detail: 'no answer within 1000 ms' },
      },
    })
  })

  test('[HT3] metrics, pages, and what is neither', async () => {
    const { log, text } = capturedLog()
    const pages = {
      '/health': () => ({ status: 200, json: { connections: 3 } }),
      '/broken': () => Promise.reject(new Error('canary')),
    }
    const { base } = await admin({ pages, log })
    expect(await get(`${base}/metrics`)).toMatchObject({ status: 200, body: expect.stringContaining('process_cpu') })
    expect(await get(`${base}/health`)).toMatchObject({ status: 200, body: { connections: 3 } })
    expect(await get(`${base}/constructor`)).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } })
    const broken = await get(`${base}/broken`)
    expect(broken).toMatchObject({ status: 500, body: { code: 'INTERNAL_ERROR' } })
    expect(JSON.stringify(broken.body)).not.toContain('canary')
    expect(text()).toContain('canary')
    const posted = await get(`${base}/livez`, { method: 'POST' })
    expect(posted).toMatchObject({ status: 405 })
    expect(posted.headers.get('allow')).toBe('GET, HEAD')
    expect(await get(`${base}/health`, { method: 'HEAD' }).catch(() => 'no body')).toBe('no body')
  })

  test('[HT3] what may be posted is: not by GET, and not from a web page', async () => {
    const posts = { '/drain': () => ({ status: 202, json: { state: 'draining' } }) }
    const { base } = await admin({ posts })
    expect(await get(`${base}/drain`, { method: 'POST' })).toMatchObject({ status: 202, body: { state: 'draining' } })
    const got = await get(`${base}/drain`)
    expect(got).toMatchObject({ status: 405 })
    expect(got.headers.get('allow')).toBe('POST')
    const headers = { origin: 'http://evil.example' }
    expect(await get(`${base}/drain`, { method: 'POST', headers })).toMatchObject({ status: 403 })
  })

  test('[HT4] port 0 gives a port, a port in use rejects, close ends open connections', async () => {
    const { server } = await admin()
    expect(server.port).toBeGreaterThan(0)
    await expect(admin({ port: server.port })).rejects.toThrow('EADDRINUSE')
    const socket = connect(server.port, '127.0.0.1')
    await once(socket, 'connect')
    const ended = once(socket, 'close')
    socket.resume()
    socket.on('error', () => {})
    await Promise.all([server.close(), ended])
    await server.close()
  })

  test('[HT8] requests are timed out and headers bounded', async () => {
    expect(serverLimits).toMatchObject({ headersTimeout: 5_000, requestTimeout: 10_000, maxHeaderSize: 16_384 })
    const { base } = await admin()
    expect((await get(`${base}/livez`, { headers: { big: 'x'.repeat(20_000) } })).status).toBe(431)
  })
})

describe('problems', () => {
  async function service(build: (app: express.Express) => void) {
    const { log, text } = capturedLog()
    const app = express()
    app.use(express.json({ limit: 100 }))
    build(app)
    app.use(notFound, problemErrors(log))
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    closers.push(() => new Promise((resolve) => server.close(() => resolve())))
    closers.push(async () => server.closeAllConnections())
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    return { base: `http://127.0.0.1:${port}`, text }
  }
  const post = (body: string, type = 'application/json'): RequestInit => ({
    method: 'POST',
    body,
    headers: { 'content-type': type },
  })

  test.each([
    [1, '1'],
    [1_000, '1'],
    [1_001, '2'],
    [0, '0'],
    [59_999, '60'],
  ])('[HT5] %i ms is Retry-After %s', async (retryAfterMs, header) => {
    const { base } = await service((app) =>
      app.get('/full', (_req, res) => problem(res, { status: 503, code: 'OVERLOADED', detail: 'Full.', retryAfterMs })),
    )
    const answer = await get(`${base}/full`)
    expect(answer.headers.get('retry-after')).toBe(header)
    expect(answer.type).toBe('application/problem+json; charset=utf-8')
    expect(answer.body).toEqual({
      type: 'about:blank',
      title: 'Service Unavailable',
      status: 503,
      detail: 'Full.',
      code: 'OVERLOADED',
      retryAfterMs,
    })
  })

  test('[HT5] without a time there is no header, and a title may be given', async () => {
    const { base } = await service((app) =>
      app.get('/no', (_req, res) => problem(res, { status: 403, code: 'FORBIDDEN', title: 'No', detail: 'Not you.' })),
    )
    const answer = await get(`${base}/no`)
    expect(answer.headers.has('retry-after')).toBe(false)
    expect(answer.body).toMatchObject({ title: 'No', code: 'FORBIDDEN' })
  })

  test('[HT6] unreadable requests get their own 4xx', async () => {
    const { base } = await service((app) => app.post('/', (_req, res) => void res.json({})))
    expect(await get(base, post('{'))).toMatchObject({ status: 400, body: { code: 'VALIDATION_ERROR' } })
    expect(await get(base, post(JSON.stringify('x'.repeat(200))))).toMatchObject({
      status: 413,
      body: { code: 'PAYLOAD_TOO_LARGE' },
    })
    expect(await get(base, post('{}', 'application/json; charset=nope'))).toMatchObject({
      status: 415,
      body: { code: 'VALIDATION_ERROR' },
    })
    expect(await get(`${base}/else`)).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } })
  })

  test('[HT7] an unexpected error tells the client nothing and the log everything', async () => {
    const { base, text } = await service((app) =>
      app.get('/', () => {
        throw new Error('canary')
      }),
    )
    const answer = await get(`${base}/?token=geheim`)
    expect(answer).toMatchObject({ status: 500, body: { code: 'INTERNAL_ERROR' } })
    expect(JSON.stringify(answer.body)).not.toContain('canary')
    expect(text()).toContain('canary')
    expect(text()).not.toContain('geheim')
  })

  test('[HT7] after the headers are out the connection is broken off', async () => {
    const { base } = await service((app) =>
      app.get('/', (_req, res) => {
        res.write('half')
        throw new Error('late')
      }),
    )
    await expect(fetch(base).then((response) => response.text())).rejects.toThrow()
  })
})
