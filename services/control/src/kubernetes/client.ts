import { request as requestHttp } from 'node:http'
import type { IncomingMessage, RequestOptions } from 'node:http'
import { request as requestHttps } from 'node:https'
import { KubeConfig } from '@kubernetes/client-node'

/** What the API server refused. `status`: 403 a missing right, 404, 409 a conflict, 410 an expired version, 429 and 5xx try later. */
export class ApiError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH'
  readonly path: string
  readonly body?: unknown
  /** Of a PATCH. */
  readonly contentType?: string
}
export interface Watching {
  readonly path: string
  /** Nothing at all came for so long, ms: the connection is taken for dead. */
  readonly silenceMs: number
  readonly signal: AbortSignal
  /** One object per line, as it comes. */
  onLine(line: unknown): void
}

/** The Kubernetes API, as far as control uses it. */
export interface Api {
  readonly namespace: string
  /** The answer's object. Throws ApiError, or what the network had to say; never later than the deadline. */
  ask(request: ApiRequest): Promise<unknown>
  /** Resolves when the server ended it; throws when it failed, was silent for too long or the signal came. */
  watch(watching: Watching): Promise<void>
}

/** Of one call, ms: a server that hangs is one that is not there. */
const deadlineMs = 2_000
/** A list of a few hundred pods is a megabyte; more than this is not read. */
const maxBodyBytes = 32 * 1_048_576
/** A watch's line is one object. */
const maxLineBytes = 4 * 1_048_576

/** The cluster that this process runs in; outside of one, the kubeconfig that `kubectl` would use. */
export function clusterApi(): Api {
  const config = new KubeConfig()
  config.loadFromDefault()
  const server = config.getCurrentCluster()?.server
  if (server === undefined)
    throw new Error('no Kubernetes API server is known: there is neither a cluster nor a kubeconfig')
  const context = config.getContextObject(config.getCurrentContext())
  return createApi(server, context?.namespace ?? 'default', (options) => config.applyToHTTPSOptions(options))
}

export function createApi(
  server: string,
  namespace: string,
  authenticate: (options: RequestOptions) => Promise<void> = () => Promise.resolve(),
): Api {
  const base = new URL(server)
  const send = base.protocol === 'https:' ? requestHttps : requestHttp

  async function open(method: string, path: string, more: { body?: string; type?: string; signal: AbortSignal }) {
    const { body, type = 'application/json', signal } = more
    const url = new URL(base.pathname.replace(/\/$/, '') + path, base)
    const options: RequestOptions = {
      ...{
        protocol: url.protocol,
        hostname: url.hostname,
        port: url.port,
        path: url.pathname + url.search,
        method,
        signal,
      },
      headers: {
        accept: 'application/json',
        ...(body !== undefined && { 'content-type': type, 'content-length': Buffer.byteLength(body) }),
      },
    }
    await authenticate(options)
    return new Promise<IncomingMessage>((resolve, reject) => {
      const asked = send(options, resolve)
      asked.on('error', reject)
      asked.end(body)
    })
  }

  return {
    namespace,
    ask: async ({ method, path, body, contentType }) => {
      const signal = AbortSignal.timeout(deadlineMs)
      const text = body === undefined ? {} : { body: JSON.stringify(body) }
      const response = await open(method, path, {
        ...text,
        ...(contentType !== undefined && { type: contentType }),
        signal,
      })
      return parse(response.statusCode ?? 0, await readAll(response))
    },
    watch: async ({ path, silenceMs, signal, onLine }) => {
      const silence = new AbortController()
      const timer = setTimeout(() => silence.abort(new Error(`silent for ${silenceMs} ms`)), silenceMs)
      try {
        const response = await open('GET', path, { signal: AbortSignal.any([signal, silence.signal]) })
        if (response.statusCode !== 200) return void parse(response.statusCode ?? 0, await readAll(response))
        let rest = ''
        for await (const chunk of response.setEncoding('utf8')) {
          timer.refresh()
          const lines = (rest + String(chunk)).split('\n')
          rest = lines.pop() ?? ''
          if (rest.length > maxLineBytes) throw new Error('an object of the watch is too large')
          for (const line of lines) if (line !== '') onLine(JSON.parse(line))
        }
      } finally {
        clearTimeout(timer)
      }
    },
  }
}

async function readAll(response: IncomingMessage): Promise<string> {
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) {
    text += String(chunk)
    if (text.length > maxBodyBytes) throw new Error('the answer of the API server is too large')
  }
  return text
}

function parse(status: number, text: string): unknown {
  if (status >= 200 && status < 300) return JSON.parse(text)
  throw new ApiError(status, `the API server answered ${status}: ${messageOf(text)}`)
}

function messageOf(text: string): string {
  try {
    const { message } = JSON.parse(text) as { message?: unknown }
    if (typeof message === 'string') return message
  } catch {
    // Not of the API server itself: a proxy, or a page.
  }
  return text.slice(0, 200)
}
