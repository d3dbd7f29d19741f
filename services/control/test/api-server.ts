import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'

interface Meta {
  name: string
  uid: string
  ownerReferences?: unknown[]
  resourceVersion: string
  labels?: Record<string, string>
  annotations?: Record<string, string>
  deletionTimestamp?: string
}
interface KubeObject {
  kind: string
  metadata: Meta
  spec?: Record<string, unknown>
  status?: Record<string, unknown>
}
interface Change {
  readonly version: number
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: KubeObject
}

/** How the next requests fare: as usual, refused with a status, never answered, or their connections cut. */
type Mood = 'well' | number | 'hangs' | 'cuts'

export interface ApiServer {
  readonly url: string
  mood: Mood
  /** Whatever was done, it is answered so much later, ms. */
  lateMs: number
  /** Requests so far, as `GET pods`, `WATCH pods`, `PUT leases`. */
  readonly asked: string[]
  readonly lease: (name: string) => KubeObject | undefined
  changeLease(name: string, change: (lease: KubeObject) => void): void
  deleteLease(name: string): void
  readonly pods: () => KubeObject[]
  addPod(name: string, component: string): KubeObject
  changePod(name: string, change: (pod: KubeObject) => void): void
  deletePod(name: string): void
  /** Versions before now are forgotten, and who watches from one is told so. */
  forget(): void
  /** Watches that are open say nothing any more. */
  silenceWatches(): void
  endWatches(): void
  watches(): number
  bookmark(): void
  close(): Promise<void>
}

const failure = (code: number, message: string) => ({ kind: 'Status', status: 'Failure', code, message })

async function bodyOf(req: IncomingMessage): Promise<KubeObject> {
  let text = ''
  for await (const chunk of req.setEncoding('utf8')) text += String(chunk)
  return JSON.parse(text) as KubeObject
}

/** What control uses of an API server: Leases, and pods that are listed in pages, watched and patched. Its rules about versions are the real ones. */
export async function startApiServer(): Promise<ApiServer> {
  const objects = { leases: new Map<string, KubeObject>(), pods: new Map<string, KubeObject>() }
  let version = 1
  let oldest = 0
  let changes: Change[] = []
  let uids = 0
  const watches = new Set<{
    readonly res: ServerResponse
    readonly matches: (pod: KubeObject) => boolean
    silent: boolean
  }>()

  const json = (res: ServerResponse, status: number, body: unknown): void => {
    const text = JSON.stringify(body)
    const answer = (): void => void res.writeHead(status, { 'content-type': 'application/json' }).end(text)
    if (api.lateMs > 0) setTimeout(answer, api.lateMs)
    else answer()
  }

  function store(kind: keyof typeof objects, object: KubeObject, type: Change['type']): KubeObject {
    version += 1
    const stored = structuredClone(object)
    stored.metadata.resourceVersion = String(version)
    if (type === 'DELETED') objects[kind].delete(stored.metadata.name)
    else objects[kind].set(stored.metadata.name, stored)
    if (kind === 'leases') return stored
    const change = { version, type, object: stored }
    changes.push(change)
    for (const watch of watches) if (!watch.silent && watch.matches(stored)) send(watch.res, change)
    return stored
  }
  const send = (res: ServerResponse, { type, object }: Pick<Change, 'type' | 'object'>): void =>
    void res.write(`${JSON.stringify({ type, object })}\n`)

  const selected = (query: URLSearchParams) => {
    const wanted = (query.get('labelSelector') ?? '')
      .split(',')
      .filter(Boolean)
      .map((each) => each.split('='))
    return (pod: KubeObject): boolean => wanted.every(([name = '', value]) => pod.metadata.labels?.[name] === value)
  }

  function list(res: ServerResponse, query: URLSearchParams): void {
    const found = [...objects.pods.values()].filter(selected(query))
    const from = Number(query.get('continue') ?? 0)
    const limit = Number(query.get('limit') ?? found.length)
    const more = from + limit < found.length ? { continue: String(from + limit) } : {}
    json(res, 200, {
      kind: 'PodList',
      metadata: { resourceVersion: String(version), ...more },
      items: found.slice(from, from + limit),
    })
  }

  function watch(res: ServerResponse, query: URLSearchParams): void {
    const from = Number(query.get('resourceVersion') ?? 0)
    const matches = selected(query)
    res.writeHead(200, { 'content-type': 'application/json' })
    if (from < oldest) {
      res.end(`${JSON.stringify({ type: 'ERROR', object: failure(410, 'too old resource version') })}\n`)
      return
    }
    res.flushHeaders()
    for (const change of changes) if (change.version > from && matches(change.object)) send(res, change)
    const each = { res, matches, silent: false }
    watches.add(each)
    res.on('close', () => watches.delete(each))
  }

  async function write(req: IncomingMessage, res: ServerResponse, name: string | undefined): Promise<void> {
    const object = await bodyOf(req)
    const known = objects.leases.get(name ?? object.metadata.name)
    if (req.method === 'POST') {
      if (known !== undefined) return json(res, 409, failure(409, 'it exists already'))
      return json(
        res,
        201,
        store('leases', { ...object, metadata: { ...object.metadata, uid: `u${(uids += 1)}` } }, 'ADDED'),
      )
    }
    if (known === undefined) return json(res, 404, failure(404, 'not found'))
    const { resourceVersion, uid } = object.metadata
    if (uid !== undefined && uid !== known.metadata.uid) return json(res, 409, failure(409, 'it is another object'))
    if (resourceVersion !== known.metadata.resourceVersion)
      return json(res, 409, failure(409, 'the object has been modified'))
    // Who names no uid means the object of that name.
    const { uid: same } = known.metadata
    json(res, 200, store('leases', { ...object, metadata: { ...object.metadata, uid: same } }, 'MODIFIED'))
  }

  async function patch(req: IncomingMessage, res: ServerResponse, name: string): Promise<void> {
    const { metadata } = await bodyOf(req)
    const pod = objects.pods.get(name)
    if (pod === undefined) return json(res, 404, failure(404, 'not found'))
    const changed = structuredClone(pod)
    changed.metadata.annotations = { ...changed.metadata.annotations, ...metadata.annotations }
    json(res, 200, store('pods', changed, 'MODIFIED'))
  }

  function refuse(req: IncomingMessage, res: ServerResponse, mood: Mood): void {
    if (mood === 'cuts') req.socket.destroy()
    if (typeof mood === 'number') json(res, mood, failure(mood, 'not now'))
  }

  const server = createServer((req, res) => {
    const url = new URL(req.url ?? '/', 'http://api')
    const [, kind, name] = /\/namespaces\/fleet\/(leases|pods)(?:\/([^/]+))?$/.exec(url.pathname) ?? []
    const isWatch = url.searchParams.get('watch') !== null
    api.asked.push(`${isWatch ? 'WATCH' : (req.method ?? '')} ${kind ?? url.pathname}`)
    if (api.mood !== 'well') return refuse(req, res, api.mood)
    if (kind === 'leases') {
      const lease = name === undefined ? undefined : objects.leases.get(name)
      if (req.method !== 'GET') return void write(req, res, name)
      return lease === undefined ? json(res, 404, failure(404, 'not found')) : json(res, 200, lease)
    }
    if (kind !== 'pods') return json(res, 404, failure(404, 'no such page'))
    if (req.method === 'PATCH' && name !== undefined) return void patch(req, res, name)
    if (isWatch) watch(res, url.searchParams)
    else list(res, url.searchParams)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const api: ApiServer = {
    url: `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    mood: 'well',
    lateMs: 0,
    asked: [],
    lease: (name) => objects.leases.get(name),
    changeLease: (name, change) => {
      const lease = structuredClone(objects.leases.get(name))
      if (lease === undefined) throw new Error(`no Lease ${name}`)
      change(lease)
      store('leases', lease, 'MODIFIED')
    },
    deleteLease: (name) => void objects.leases.delete(name),
    pods: () => [...objects.pods.values()],
    addPod: (name, component) => {
      const labels = { 'app.kubernetes.io/name': 'flotilla', 'app.kubernetes.io/component': component }
      return store(
        'pods',
        { kind: 'Pod', metadata: { name, uid: `u${(uids += 1)}`, resourceVersion: '', labels } },
        'ADDED',
      )
    },
    changePod: (name, change) => {
      const pod = structuredClone(objects.pods.get(name))
      if (pod === undefined) throw new Error(`no pod ${name}`)
      change(pod)
      store('pods', pod, 'MODIFIED')
    },
    deletePod: (name) => {
      const pod = objects.pods.get(name)
      if (pod !== undefined) store('pods', pod, 'DELETED')
    },
    forget: () => {
      oldest = version + 1
      version += 1
      changes = []
    },
    silenceWatches: () => {
      for (const each of watches) each.silent = true
    },
    endWatches: () => {
      for (const { res } of watches) res.end()
    },
    watches: () => watches.size,
    bookmark: () => {
      for (const { res } of watches)
        send(res, {
          type: 'BOOKMARK' as 'ADDED',
          object: { kind: 'Pod', metadata: { name: '', uid: '', resourceVersion: String(version) } },
        })
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return api
}
