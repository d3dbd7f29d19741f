import { existsSync } from 'node:fs'
import { request as requestHttp } from 'node:http'
import type { IncomingMessage, RequestOptions } from 'node:http'
import { Agent, request as requestHttps } from 'node:https'
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
  /** Of the whole call, ms; 2,000 otherwise. */
  readonly deadlineMs?: number
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
const usualDeadlineMs = 2_000
/** A list of a few hundred pods is a megabyte; more than this is not read. */
const maxBodyBytes = 32 * 1_048_576
/** A watch's line is one object. */
const maxLineBytes = 4 * 1_048_576

const tokenFile = '/var/run/secrets/kubernetes.io/serviceaccount/token'

export function clusterApi(): Api {
  const config = clusterConfig()
  const context = config.getContextObject(config.getCurrentContext())
  const server = config.getCurrentCluster()?.server ?? ''
  return createApi(server, context?.namespace ?? 'default', authenticationOf(config))
}

/**
 * Of the cluster that this process runs in; outside of one, what KUBECONFIG or `~/.kube/config` says. Throws where there is none of them: the
 * library would go on with http://localhost:8080, and a process that asks there for ever looks as if the API were away. `root`: of the token's path.
 */
export function clusterConfig(root = ''): KubeConfig {
  const config = new KubeConfig()
  const inCluster = existsSync(`${root}${tokenFile}`)
  if (inCluster) config.loadFromCluster(root)
  else config.loadFromDefault()
  const server = config.getCurrentCluster()?.server ?? ''
  if (URL.canParse(server) && new URL(server).protocol === 'https:') return config
  const looked = inCluster
    ? 'KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT, beside the token of a service account'
    : 'there is no token of a service account; KUBECONFIG and ~/.kube/config'
  throw new Error(`No Kubernetes API with an https address is known (found: "${server}"; looked at: ${looked}).`)
}

/**
 * What the configuration says at each call, as tokens and certificates are renewed, over connections that are kept: a handshake costs more than all
 * else of a call. A certificate that was renewed is asked with over a new one: the agent keeps them apart.
 */
export function authenticationOf(config: KubeConfig): (options: RequestOptions) => Promise<void> {
  const kept = new Agent({ keepAlive: true })
  const isProxied = config.getCurrentCluster()?.proxyUrl !== undefined
  return async (options) => {
    await config.applyToHTTPSOptions(options)
    if (!isProxied) options.agent = kept
  }
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
    await orAborted(authenticate(options), signal)
    return new Promise<IncomingMessage>((resolve, reject) => {
      const asked = send(options, resolve)
      asked.on('error', reject)
      asked.end(body)
    })
  }

  return {
    namespace,
    ask: async ({ method, path, body, contentType, deadlineMs = usualDeadlineMs }) => {
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

/** Not everything takes a signal. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', abort, { once: true })
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
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
