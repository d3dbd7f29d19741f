/**
 * The connection of the page, as plain JavaScript: docs/protocol.md by hand, so that the page shows what a client has to
 * do. It talks to the view (page-script-view.ts) through the `show…` functions and `addEvent`, `addMark`.
 */
export const linkScript = String.raw`
'use strict'
const lobby = 'public:lobby'
const backoffMs = 500, backoffMaxMs = 30000, restartMs = 200, stableMs = 5000, attemptMs = 10000
const pingMs = 20000, silenceMs = 60000, awayMs = 3000, missedWhileAway = 3
const maxDataBytes = 1000000, maxWaiting = 200, maxSamples = 100, maxUnmatched = 500
const retriable = new Set(['RATE_LIMITED', 'OVERLOADED', 'UNKNOWN', 'INTERNAL_ERROR'])

const link = {
  token: '', socket: null, up: false, ready: false, attempt: 0, hintMs: undefined, session: null, timer: 0, stableTimer: 0,
  heardAt: 0, pingAt: 0, startedAt: 0, id: 0, away: false,
}
// room -> { room, own, epoch, seq, vouched, replayTo, asking, askedAt, retry, refusals, answer }
const rooms = new Map()
// request id -> room records it asks for
const asks = new Map()
// rooms that were left and whose events may still be on their way: room -> request id
const leaving = new Map()
// publishes that wait for their answer: request id -> item
const waiting = new Map()
const latency = { trips: [], acks: [], sent: new Map(), seen: new Map() }

const relative = (path) => new URL(path, location.href.split(/[?#]/)[0])
function socketUrl() {
  const url = relative('ws')
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return url.href
}
function newKey() {
  // randomUUID is there on https and localhost only.
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}
const nextId = () => (link.id += 1)
const send = (frame) => link.socket.send(JSON.stringify(frame))
function parse(text) {
  try {
    const value = JSON.parse(text)
    return value !== null && typeof value === 'object' ? value : undefined
  } catch {
    return undefined
  }
}

// ---- the connection

function start(token) {
  letGo(1000, 'another token')
  link.token = token
  link.attempt = 0
  link.session = null
  rooms.clear()
  waiting.clear()
  showEntry(false)
  connect()
}

function connect() {
  clearTimeout(link.timer)
  link.away = false
  showState(link.session === null ? 'connecting' : 'reconnecting')
  const socket = new WebSocket(socketUrl())
  link.socket = socket
  link.startedAt = link.heardAt = link.pingAt = performance.now()
  socket.onopen = () => { if (link.socket === socket) send({ type: 'auth', id: nextId(), token: link.token }) }
  socket.onclose = (event) => { if (link.socket === socket) ended(event.code, event.reason) }
  socket.onmessage = (message) => {
    if (link.socket !== socket) return
    link.heardAt = performance.now()
    const frame = parse(message.data)
    if (frame !== undefined) receive(frame)
  }
}

/** Leaves the socket behind; what the server still has to say on it is not heard. */
function letGo(code, reason) {
  const { socket } = link
  link.socket = null
  link.up = link.ready = false
  clearTimeout(link.stableTimer)
  if (socket !== null) socket.close(code, reason)
  asks.clear()
  leaving.clear()
  latency.sent.clear()
  latency.seen.clear()
  for (const record of rooms.values()) {
    clearTimeout(record.retry)
    record.asking = record.retry = undefined
  }
  for (const item of waiting.values()) {
    clearTimeout(item.timer)
    item.measured = false
  }
}

function ended(code, reason) {
  letGo()
  const why = code + (reason ? ' ' + reason : '')
  if (code === 1000 || (code >= 4400 && code <= 4499)) {
    showState('closed', why)
    showNotice('The server ended the connection: ' + why + '.')
    if (code === 4401) forgetToken()
    showEntry(true)
    return
  }
  const wait = waitMs(code)
  link.attempt += 1
  link.hintMs = undefined
  showState('waiting', why)
  link.timer = setTimeout(connect, wait)
}

/** Full jitter, never before the time the server gave; at once after a restart. */
function waitMs(code) {
  if (link.hintMs !== undefined) return link.hintMs + Math.random() * Math.max(link.hintMs, 100)
  if (code === 1012 && link.attempt === 0) return Math.random() * restartMs
  return Math.random() * Math.min(backoffMaxMs, backoffMs * 2 ** Math.min(link.attempt, 30))
}

function watch() {
  if (link.socket === null) return
  const now = performance.now()
  const unanswered = [...rooms.values()].some((record) => record.asking !== undefined && now - record.askedAt > attemptMs)
  const dead = link.up ? now - link.heardAt > silenceMs || unanswered : now - link.startedAt > attemptMs
  if (dead) {
    letGo(3001, 'no answer')
    return ended(1006, 'no answer')
  }
  if (link.up && now - link.pingAt > pingMs) {
    link.pingAt = now
    send({ type: 'ping' })
  }
}

/** Closes the socket for a moment while a second connection publishes, so that there is something to miss. */
function goAway(room) {
  letGo(3000, 'away for a moment')
  link.away = true
  showState('away')
  addMark('', 'connection dropped; ' + missedWhileAway + ' events are published to ' + room + ' meanwhile')
  link.timer = setTimeout(connect, awayMs)
  publishFromElsewhere(room)
}

function publishFromElsewhere(room) {
  const socket = new WebSocket(socketUrl())
  const timer = setTimeout(() => socket.close(1000), 2 * awayMs)
  let open = missedWhileAway
  socket.onopen = () => socket.send(JSON.stringify({ type: 'auth', id: 0, token: link.token }))
  socket.onclose = () => clearTimeout(timer)
  socket.onmessage = (message) => {
    const frame = parse(message.data)
    if (frame === undefined) return
    if (frame.type === 'connected') {
      for (let n = 1; n <= missedWhileAway; n += 1) {
        const data = { n, text: 'you were away' }
        socket.send(JSON.stringify({ type: 'publish', id: n, room, event: 'meanwhile', data, key: newKey() }))
      }
    } else if (frame.id >= 1 && (frame.type === 'ok' || frame.type === 'error')) {
      open -= 1
      if (frame.type === 'error') showNotice('While away, a publish was refused: ' + frame.code)
      if (open === 0) socket.close(1000)
    }
  }
}

// ---- frames

function receive(frame) {
  switch (frame.type) {
    case 'connected': return connected(frame)
    case 'event': return onEvent(frame)
    case 'position': return onPosition(frame)
    case 'ok': return asks.has(frame.id) ? answeredAsk(frame) : published(frame)
    case 'error': return failed(frame)
  }
}

function connected(frame) {
  link.up = true
  const first = link.session === null
  link.session = frame
  const attempt = link.attempt
  // A connection that ends at once does not count as one that worked.
  link.stableTimer = setTimeout(() => { if (link.attempt === attempt) link.attempt = 0 }, stableMs)
  showState('connected')
  for (const room of frame.rooms) if (!rooms.has(room)) createRoom(room, true)
  if (first && !rooms.has(lobby)) createRoom(lobby, false)
  // The server's own rooms too: what it has not been asked for it tells as a possible loss.
  const known = [...rooms.values()]
  if (known.length === 1) ask(known[0])
  else if (known.length > 1) request(known, { type: 'resume', rooms: known.map(wish) })
  if (asks.size === 0) goOn()
  showRooms()
}
/** Publishes wait until the rooms are resumed: where that failed, their events would fall before the new position. */
function goOn() {
  link.ready = true
  for (const item of waiting.values()) sendPublish(item)
}

function failed(frame) {
  if (asks.has(frame.id)) return answeredAsk(frame)
  if (waiting.has(frame.id)) return refused(frame)
  for (const [room, id] of leaving) if (id === frame.id) leaving.delete(room)
  if (typeof frame.retryAfterMs === 'number') link.hintMs = frame.retryAfterMs
  showNotice(frame.code + ': ' + frame.message)
}

// ---- rooms

function createRoom(room, own) {
  const record = { room, own, epoch: undefined, seq: 0, vouched: 0, replayTo: 0, asking: undefined, refusals: 0, answer: undefined }
  rooms.set(room, record)
  return record
}
function join(room) {
  if (rooms.has(room)) return showNotice('You are in ' + room + ' already.')
  const record = createRoom(room, false)
  leaving.delete(room)
  if (link.up) ask(record)
  showRooms()
}
function leave(room) {
  const record = rooms.get(room)
  clearTimeout(record.retry)
  rooms.delete(room)
  if (link.up) {
    const id = nextId()
    leaving.set(room, id)
    send({ type: 'unsubscribe', id, room })
  }
  showRooms()
}
function wish({ room, epoch, seq }) {
  return epoch === undefined ? { room } : { room, since: { epoch, seq } }
}
const ask = (record) => request([record], { type: 'subscribe', ...wish(record) })
function request(records, frame) {
  const id = nextId()
  asks.set(id, records)
  for (const record of records) {
    record.asking = id
    record.askedAt = performance.now()
  }
  send({ ...frame, id })
}

function answeredAsk(frame) {
  const records = asks.get(frame.id)
  asks.delete(frame.id)
  const byRoom = new Map((frame.rooms ?? []).map((answer) => [answer.room, answer]))
  for (const record of records) {
    if (record.asking !== frame.id || rooms.get(record.room) !== record) continue
    record.asking = undefined
    if (frame.type === 'error') refusedRoom(record, frame)
    else {
      const answer = frame.rooms === undefined ? frame : byRoom.get(record.room)
      if (answer === undefined || answer.position === undefined) refusedRoom(record, answer?.error ?? { code: 'UNKNOWN', message: 'no answer' })
      else answeredRoom(record, answer)
    }
  }
  if (!link.ready) goOn()
  showRooms()
}

function answeredRoom(record, { position, recovered = true, missed = 0, reason }) {
  const resumed = record.epoch !== undefined
  const replayFollows = recovered && missed > 0 && resumed
  record.epoch = position.epoch
  if (!replayFollows) record.seq = position.seq
  record.vouched = position.seq
  record.replayTo = replayFollows ? position.seq : 0
  record.refusals = 0
  record.answer = resumed ? { recovered, missed, reason } : undefined
  if (resumed && !recovered) addMark('bad', record.room + ' not recovered: ' + reason)
  else if (replayFollows) addMark('good', record.room + ' recovered, ' + missed + ' missed')
}

function refusedRoom(record, { code, message, retryAfterMs = 0 }) {
  if (retriable.has(code)) {
    const wait = retryAfterMs + Math.random() * Math.max(retryAfterMs, backoffMs * 2 ** Math.min(record.refusals, 4))
    record.refusals += 1
    record.retry = setTimeout(() => { record.retry = undefined; ask(record) }, wait)
    return
  }
  if (!record.own) rooms.delete(record.room)
  showNotice(record.room + ' ' + code + ': ' + message)
}

function onPosition({ room, position, recovered, reason }) {
  if (leaving.has(room)) return
  const record = rooms.get(room) ?? createRoom(room, true)
  if (record.asking !== undefined || record.retry !== undefined) return
  const back = recovered && record.epoch === position.epoch && position.seq < record.seq
  record.epoch = position.epoch
  if (!back) record.seq = record.vouched = position.seq
  if (!recovered) {
    record.answer = { recovered, missed: 0, reason }
    addMark('bad', room + ' not recovered: ' + (reason ?? 'joined at its head'))
  }
  showRooms()
}

function onEvent(frame) {
  const { room, seq } = frame
  if (leaving.has(room)) return
  const record = rooms.get(room) ?? createRoom(room, true)
  if (seq !== undefined) {
    // What comes before the answer is not lost: the replay begins at the position that was given.
    if ((record.asking !== undefined || record.retry !== undefined) && record.epoch !== undefined) return
    if (seq <= record.seq) return
    if (record.epoch !== undefined && seq > Math.max(record.seq, record.vouched) + 1) {
      ask(record)
      return showRooms()
    }
    record.seq = seq
    measureTrip(frame)
  }
  addEvent(frame, seq !== undefined && seq <= record.replayTo)
  showRooms()
}

// ---- publishes

function publish(room, event, data, ephemeral) {
  if (ephemeral) {
    if (!link.up) return showNotice('Not sent: an ephemeral event needs a connection.')
    return send({ type: 'publish', id: nextId(), room, event, data, ephemeral })
  }
  if (new TextEncoder().encode(JSON.stringify(data)).length > maxDataBytes) return showNotice('Not sent: the data is larger than 1 MB.')
  if (waiting.size >= maxWaiting) return showNotice('Not sent: ' + maxWaiting + ' publishes wait for their answer.')
  const item = { id: nextId(), room, event, data, key: newKey(), sentAt: undefined, measured: true, timer: 0 }
  waiting.set(item.id, item)
  if (link.ready) sendPublish(item)
  showWaiting()
}
function sendPublish(item) {
  const { id, room, event, data, key } = item
  if (item.sentAt !== undefined) item.measured = false
  item.sentAt = performance.now()
  send({ type: 'publish', id, room, event, data, key })
}
function published({ id, room, position }) {
  if (leaving.get(room) === id) return leaving.delete(room)
  const item = waiting.get(id)
  if (item === undefined) return
  waiting.delete(id)
  showWaiting()
  if (!item.measured || position === undefined) return
  sample(latency.acks, performance.now() - item.sentAt)
  const place = room + ' ' + position.seq
  const seenAt = latency.seen.get(place)
  if (seenAt === undefined) remember(latency.sent, place, item.sentAt)
  else {
    latency.seen.delete(place)
    sample(latency.trips, seenAt - item.sentAt)
  }
}
function refused({ id, code, message, retryAfterMs = 0 }) {
  const item = waiting.get(id)
  if (retriable.has(code)) {
    const wait = retryAfterMs + Math.random() * Math.max(retryAfterMs, backoffMs)
    item.timer = setTimeout(() => { if (link.ready && waiting.has(id)) sendPublish(item) }, wait)
    return
  }
  waiting.delete(id)
  showWaiting()
  showNotice('Not published. ' + code + ': ' + message)
}
`
