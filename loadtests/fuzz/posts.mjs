// Requests to ingest: bodies and queries as documented and changed, and requests that are hardly HTTP.
import { gzipSync } from 'node:zlib'
import { parseJson } from '@flotilla/core/json-guard'
import { defaultPolicy } from '@flotilla/core/policy-default'
import { checkEvent } from '@flotilla/ingest/publish'
import { ingestKey } from './fleet.mjs'
import { rooms, traceOf, users } from './frames.mjs'
import { numbers, texts } from './hostile.mjs'
import { mutateBytes, mutateText, mutateValue } from './mutate.mjs'

const words = [
  ...[
    'room',
    'rooms',
    'user',
    'users',
    'tenant',
    'all',
    'event',
    'data',
    'id',
    'except',
    'filter',
    'ephemeral',
    'events',
  ],
  ...rooms.slice(0, 20),
]
const publisher = 'key:fuzz'
/** Of a batch; what one event may not have is not published, and nobody waits for it. */
const bodyLimits = { maxDepth: 34, maxKeys: 50_000 }

function goodEvent(random, count) {
  const target = random.pick([
    () => ({ room: random.pick(rooms) }),
    () => ({ rooms: [random.pick(rooms), random.pick(rooms)] }),
    () => ({ user: random.pick(users) }),
    () => ({ users: users.slice(0, 3) }),
    () => ({ tenant: 'fuzz' }),
    () => ({ all: true }),
  ])()
  const more = random.pick([
    {},
    { id: `e${count}` },
    { ephemeral: true },
    { except: ['fuzz-9'] },
    { filter: { region: 'eu', 'deal.stage': ['won'] } },
  ])
  return { ...target, event: 'posted', data: random.pick([null, count, { n: count, deep: [[1]] }, 'text']), ...more }
}

/** What a body publishes, as the documents say; undefined when it may not be sent: it would make one room too many. */
function published(text, isBatch, admits) {
  const parsed = parseJson(text, bodyLimits)
  if (!parsed.ok) return []
  const { value } = parsed
  const bodies = isBatch && Array.isArray(value?.events) ? value.events : [value]
  const traces = []
  for (const body of bodies) {
    const checked = checkEvent(body, { keyName: 'fuzz', nowMs: 0, policy: defaultPolicy })
    if (!checked.ok) continue
    // The key may post anywhere, so nobody but the fuzzer keeps it away from the witness.
    const isForeign = checked.event.rooms.some((room) => room.includes('vault') || room.includes('witness'))
    if (isForeign || !admits(checked.event.rooms)) return undefined
    for (const room of checked.event.rooms)
      traces.push(traceOf({ room, event: body.event, data: body.data }, publisher))
  }
  return traces
}

const bodyMakers = [
  [1, (_, good) => ['body as documented', JSON.stringify(good)]],
  [5, (random, good) => ['body changed in structure', mutateValue(random, good, words)]],
  [
    4,
    (random, good) => [
      'body changed in text',
      mutateText(random, JSON.stringify(good), '{"events":[{"room":"public:f1","event":"e"}]}'),
    ],
  ],
]

function request({ method = 'POST', path, headers = [], body, length = body.length }) {
  const lines = ['Host: localhost', `Authorization: Bearer ${ingestKey}`, 'Content-Type: application/json', ...headers]
  if (length !== null) lines.push(`Content-Length: ${length}`)
  return Buffer.concat([Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body])
}

/** The body stays what it is: it may be published all the same. */
function flippedHead(random, whole) {
  const end = whole.indexOf('\r\n\r\n')
  return Buffer.concat([mutateBytes(random, whole.subarray(0, end)), whole.subarray(end)])
}

const printable = (text) => text.replaceAll(/[^\u0020-\u007e]/g, '~').slice(0, 500)
const chunked = (body) =>
  Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')])
const noBody = Buffer.alloc(0)

/** A whole request with a right length: exactly one answer, and the connection may go on. */
const framed = [
  [60, (_, { path, body }) => ['', request({ path, body })]],
  [
    3,
    (_, { path, body }) => [
      'in chunks',
      body.length === 0
        ? request({ path, body })
        : Buffer.concat([
            request({ path, body: noBody, length: null, headers: ['Transfer-Encoding: chunked'] }),
            chunked(body),
          ]),
    ],
  ],
  [
    2,
    (_, { path, body }) => ['with gzip', request({ path, body: gzipSync(body), headers: ['Content-Encoding: gzip'] })],
  ],
  [
    1,
    (random, { path, body }) => [
      'with no gzip',
      request({ path, body, headers: [`Content-Encoding: ${random.pick(['gzip', 'br', 'deflate', 'x'])}`] }),
    ],
  ],
  [
    2,
    (random, { path, body }) => [
      'with an id',
      request({ path, body, headers: [`Idempotency-Key: ${printable(random.pick(texts))}`] }),
    ],
  ],
  [
    2,
    (random, { path, body }) => [
      'with a trace',
      request({ path, body, headers: [`traceparent: 00-${printable(random.pick(texts))}-01`] }),
    ],
  ],
  [
    2,
    (random, { path, body }) => [
      'with no key',
      request({ path, body, headers: [] })
        .toString('latin1')
        .replace(ingestKey, printable(random.pick(texts))),
    ],
  ],
  [
    2,
    (random, { body }) => [
      'elsewhere',
      request({ path: `/${encodeURIComponent(printable(random.pick(texts)))}`, body }),
    ],
  ],
  [
    1,
    (random, { path, body }) => [
      'by another method',
      request({ method: random.pick(['PUT', 'DELETE', 'PATCH', 'QUERY']), path, body }),
    ],
  ],
]

/** Hardly HTTP: what comes back is read until the server closes. */
const unframed = [
  (random, whole) => ['flipped bits', flippedHead(random, whole)],
  (random, whole) => ['cut off', whole.subarray(0, random.int(0, whole.length))],
  (random, _, { path, body }) => [
    'wrong length',
    request({
      path,
      body,
      length: random.pick([0, 1, body.length + 5, '-1', '1e3', '0x10', ' 5', '99999999999999999999']),
    }),
  ],
  (_, __, { path, body }) => ['two lengths', request({ path, body, headers: [`Content-Length: ${body.length + 1}`] })],
  (_, __, { path, body }) => ['length and chunks', request({ path, body, headers: ['Transfer-Encoding: chunked'] })],
  (random, _, { path, body }) => [
    'bad chunks',
    Buffer.concat([
      request({ path, body: noBody, length: null, headers: ['Transfer-Encoding: chunked'] }),
      Buffer.from(random.pick(['zz\r\n', '-1\r\n', 'fffffffffffffffff\r\n', '5;\u0000\r\n'])),
      body,
    ]),
  ],
  (random, _, { path, body }) => [
    'long headers',
    request({ path, body, headers: [`X-Long: ${'x'.repeat(random.pick([15_000, 17_000, 60_000]))}`] }),
  ],
  (_, __, { path, body }) => [
    'many headers',
    request({ path, body, headers: Array.from({ length: 2_500 }, (_each, i) => `a${i}:`) }),
  ],
  (random, _, { path, body }) => [
    'an expectation',
    request({ path, body, headers: [`Expect: ${random.pick(['100-continue', 'the unexpected'])}`] }),
  ],
  (_, __, { path, body }) => [
    'an upgrade',
    request({ path, body, headers: ['Connection: Upgrade', 'Upgrade: websocket'] }),
  ],
  (random, whole) => [
    'another version',
    Buffer.from(
      whole.toString('latin1').replace('HTTP/1.1', random.pick(['HTTP/1.0', 'HTTP/2.0', 'HTTP/9', 'HTP/1.1', ''])),
      'latin1',
    ),
  ],
  (random, whole) => [
    'a bad line end',
    Buffer.from(whole.toString('latin1').replace('\r\n', random.pick(['\n', '\r', '\r\n ', '\u0000\r\n'])), 'latin1'),
  ],
]

function historyPath(random) {
  const part = () => random.pick([...texts, ...numbers, '0', '5', '100', '1000', '1001'])
  const room = random.pick([
    encodeURIComponent(Buffer.from(random.pick([random.pick(rooms), random.pick(texts)])).toString()),
    '%',
    '%ff',
    '%00',
    'public:f1%2f..',
  ])
  const query = random.pick([
    '',
    `?after=${encodeURIComponent(Buffer.from(part()).toString())}`,
    `?limit=${encodeURIComponent(Buffer.from(part()).toString())}`,
    '?after=1&after=2',
    '?limit[]=1',
    '?__proto__=1&x',
    '?after=%',
    `?limit=10&after=${random.int(0, 50)}`,
  ])
  return `/v1/rooms/${room}/history${query}`.slice(0, 8_000)
}

/** Makes requests of one run. `next()`: `{ kind, bytes, isWhole, published, text }`. `admits(rooms)` bounds the rooms. */
export function createPosts(random, admits) {
  let count = 0
  const makePost = () => {
    count += 1
    const isBatch = random.chance(0.3)
    const path = isBatch ? '/v1/events/batch' : '/v1/events'
    const good = isBatch
      ? { events: Array.from({ length: random.int(1, 4) }, (_, i) => goodEvent(random, `${count}.${i}`)) }
      : goodEvent(random, count)
    const [kind, text] = random.weighted(bodyMakers)(random, good)
    const body = random.chance(0.03) ? mutateBytes(random, Buffer.from(text)) : Buffer.from(text)
    const traces = published(body.toString(), isBatch, admits)
    return traces === undefined ? undefined : { kind, path, body, traces }
  }
  const withPost = (post) => {
    if (random.chance(0.08)) {
      const [kind, bytes] = random.pick(unframed)(random, request(post), post)
      return { kind: `request: ${kind}`, bytes, isWhole: false, published: post.traces }
    }
    const [how, bytes] = random.weighted(framed)(random, post)
    return {
      kind: how === '' ? post.kind : `${post.kind.split(' ')[0]} ${how}`,
      bytes: Buffer.from(bytes),
      isWhole: true,
      published: post.traces,
    }
  }
  return {
    next: () => {
      if (random.chance(0.12)) {
        const bytes = request({ method: 'GET', path: historyPath(random), body: noBody, length: null })
        return { kind: 'history', bytes, isWhole: true, published: [] }
      }
      for (;;) {
        const post = makePost()
        if (post !== undefined) return withPost(post)
      }
    },
  }
}
