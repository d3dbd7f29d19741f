/** What the page shows of its connection, as plain JavaScript. Texts of others go into `textContent` only. */
export const viewScript = String.raw`
const maxRows = 500, maxDataShown = 600, fleetMs = 2000, secondMs = 1000, burstSize = 50, hues = 12
const tokenPlace = 'flotilla.token'
const states = {
  connecting: 'connecting', connected: 'connected', reconnecting: 'reconnecting',
  waiting: 'waiting to reconnect', away: 'away', closed: 'closed',
}
const view = { rows: [], total: 0, atEnd: true, drawing: false, listing: false, figuring: false }
const byId = (id) => document.getElementById(id)

function element(name, className, text) {
  const made = document.createElement(name)
  if (className) made.className = className
  if (text !== undefined) made.textContent = text
  return made
}
/** Once per frame, however often it is asked for. */
function soon(flag, draw) {
  if (view[flag]) return
  view[flag] = true
  requestAnimationFrame(() => {
    view[flag] = false
    draw()
  })
}
function hueOf(room) {
  let hash = 2166136261
  for (const char of room) hash = Math.imul(hash ^ char.codePointAt(0), 16777619)
  return String((hash >>> 8) % hues * (360 / hues))
}

// ---- connection

function showState(state, detail) {
  const pill = byId('state')
  pill.dataset.state = state
  pill.textContent = states[state] + (detail ? ' (' + detail + ')' : '')
  const drop = byId('drop')
  drop.hidden = state === 'closed'
  drop.disabled = state !== 'connected' && state !== 'away' && state !== 'waiting'
  drop.textContent = state === 'away' || state === 'waiting' ? 'Reconnect now' : 'Drop connection'
  const { session } = link
  byId('who').hidden = session === null
  if (session === null) return
  byId('user').textContent = session.userId
  byId('tenant').textContent = session.tenantId ?? '–'
  byId('connection').textContent = session.connectionId
  // A connection is named <edge>.<boot>.<number>.
  byId('edge').textContent = session.connectionId.split('.').slice(0, -2).join('.')
}
function showEntry(open) {
  byId('entry').hidden = !open
  byId('main').hidden = open && link.session === null
  if (open) byId('token').focus()
}
function showNotice(text) {
  byId('notice').hidden = false
  byId('notice-text').textContent = text
}

// ---- events

function addEvent(frame, replayed) {
  view.total += 1
  addRow({ frame, replayed })
}
const addMark = (kind, text) => addRow({ mark: text, kind })
function addRow(row) {
  view.rows.push(row)
  if (view.rows.length > maxRows) view.rows.shift()
  soon('drawing', drawRows)
}
function drawRows() {
  const list = byId('events')
  const rows = view.rows.splice(0)
  list.append(...rows.map((row) => (row.frame === undefined ? element('li', 'mark ' + row.kind, row.mark) : rowOf(row))))
  while (list.childElementCount > maxRows) list.firstElementChild.remove()
  byId('empty').hidden = list.childElementCount > 0
  const counted = view.total === 1 ? '1 event' : view.total.toLocaleString('en') + ' events'
  byId('count').textContent = view.total === 0 ? 'none yet' : counted + (view.total > maxRows ? ', the last ' + maxRows + ' shown' : '')
  if (view.atEnd) scrollToEnd()
  else byId('newest').hidden = false
}
function rowOf({ frame, replayed }) {
  const { room, seq, event, data, meta } = frame
  const row = element('li', 'row fresh' + (replayed ? ' replayed' : '') + (seq === undefined ? ' ephemeral' : ''))
  row.dataset.room = room
  row.dataset.seq = seq ?? ''
  row.style.setProperty('--hue', hueOf(room))
  const name = element('span', 'event', event)
  if (replayed) name.append(' ', element('span', 'tag good', 'replayed'))
  if (seq === undefined) name.append(' ', element('span', 'tag', 'ephemeral'))
  const at = element('time', '', clock(meta?.timestamp))
  at.dateTime = at.title = meta?.timestamp ?? ''
  const number = element('span', 'seq', seq ?? '–')
  row.append(number, element('span', 'room', room), name, element('span', 'data', textOf(data)), element('span', 'from', meta?.userId ?? ''), at)
  return row
}
function textOf(data) {
  const text = typeof data === 'string' ? data : (JSON.stringify(data) ?? '')
  return text.length <= maxDataShown ? text : text.slice(0, maxDataShown) + ' … ' + (text.length - maxDataShown) + ' more characters'
}
function clock(timestamp) {
  const date = new Date(timestamp)
  if (Number.isNaN(date.getTime())) return ''
  const two = (value) => String(value).padStart(2, '0')
  return two(date.getHours()) + ':' + two(date.getMinutes()) + ':' + two(date.getSeconds()) + '.' + String(date.getMilliseconds()).padStart(3, '0')
}
function scrollToEnd() {
  const scroll = byId('scroll')
  scroll.scrollTop = scroll.scrollHeight
  byId('newest').hidden = true
}

// ---- rooms

const showRooms = () => soon('listing', drawRooms)
function drawRooms() {
  const list = byId('rooms')
  const shown = new Map([...list.children].map((item) => [item.dataset.room, item]))
  const own = (record) => (record.own ? 1 : 0)
  const sorted = [...rooms.values()].sort((a, b) => own(a) - own(b))
  sorted.forEach((record, index) => {
    const item = shown.get(record.room) ?? roomItem(record)
    shown.delete(record.room)
    fillRoom(item, record)
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null)
  })
  for (const item of shown.values()) item.remove()
  byId('known-rooms').replaceChildren(...sorted.map(({ room }) => new Option(room, room)))
}
function roomItem({ room, own }) {
  const item = element('li')
  item.dataset.room = room
  item.style.setProperty('--hue', hueOf(room))
  const name = element('button', 'name', room)
  name.type = 'button'
  name.title = 'Publish to ' + room
  name.onclick = () => {
    byId('publish-room').value = room
    byId('publish-data').focus()
  }
  item.append(name, element('span', 'place'), element('span', 'below'))
  if (own) item.append(element('span', 'soft small', 'joined by the server'))
  else {
    const out = element('button', 'bare', 'Leave')
    out.type = 'button'
    out.setAttribute('aria-label', 'Leave ' + room)
    out.onclick = () => leave(room)
    item.append(out)
  }
  return item
}
function fillRoom(item, record) {
  const place = item.querySelector('.place')
  const known = record.epoch !== undefined
  place.replaceChildren(...(known ? [element('span', 'soft', 'epoch ' + record.epoch), ' seq ', element('b', '', record.seq)] : []))
  const [kind, text] = badgeOf(record)
  item.querySelector('.below').replaceChildren(element('span', 'tag ' + kind, text))
}
function badgeOf({ asking, retry, epoch, answer }) {
  if (!link.up) return ['warn', 'not connected']
  if (retry !== undefined) return ['warn', 'waiting']
  if (asking !== undefined || epoch === undefined) return ['warn', 'joining']
  if (answer === undefined) return ['', 'live']
  if (!answer.recovered) return ['bad', 'not recovered: ' + answer.reason]
  return ['good', 'recovered, ' + answer.missed + ' missed']
}

// ---- latency: of publishes that were sent once, on the connection that also hears the event

function measureTrip({ room, seq, meta }) {
  if (link.session === null || meta.connectionId !== link.session.connectionId) return
  const place = room + ' ' + seq
  const sentAt = latency.sent.get(place)
  if (sentAt === undefined) return remember(latency.seen, place, performance.now())
  latency.sent.delete(place)
  sample(latency.trips, performance.now() - sentAt)
}
function remember(map, place, at) {
  map.set(place, at)
  if (map.size > maxUnmatched) map.delete(map.keys().next().value)
}
function sample(list, ms) {
  list.push(ms)
  if (list.length > maxSamples) list.shift()
  showLatency()
}
// The smallest sample that at least the share p of them do not exceed.
function percentile(list, p) {
  const sorted = [...list].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)]
}
const inMs = (value) => (value === undefined ? '–' : value.toFixed(value < 9.95 ? 2 : value < 99.5 ? 1 : 0))
const showLatency = () => soon('figuring', drawLatency)
function drawLatency() {
  for (const [id, list] of [['trip', latency.trips], ['ack', latency.acks]]) {
    const cells = byId(id).querySelectorAll('td')
    const figures = [list[list.length - 1], percentile(list, 0.5), percentile(list, 0.99)]
    figures.forEach((value, index) => { cells[index].textContent = inMs(value) })
  }
  drawSpark(latency.trips)
}
function drawSpark(list) {
  if (list.length === 0) return
  const highest = Math.max(...list)
  const middle = percentile(list, 0.5)
  const x = (index) => (list.length === 1 ? 100 : (index / (list.length - 1)) * 100).toFixed(2)
  const y = (value) => (49 - (value / highest) * 46).toFixed(2)
  const line = list.map((value, index) => x(index) + ',' + y(value)).join(' ')
  const draw = (name, attributes) => {
    const made = document.createElementNS('http://www.w3.org/2000/svg', name)
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
    return made
  }
  byId('spark').replaceChildren(
    draw('polygon', { points: '0,50 ' + line + ' 100,50' }),
    draw('line', { x1: 0, x2: 100, y1: y(middle), y2: y(middle) }),
    draw('polyline', { points: line }),
  )
  byId('samples').textContent = list.length === 1 ? '1 publish' : list.length + ' publishes'
  byId('spark-what').textContent = 'publish → own event; dashed: p50'
  byId('spark-max').textContent = 'top ' + inMs(highest) + ' ms'
}

// ---- who is connected

async function pollFleet() {
  if (!document.hidden && link.session !== null) {
    try {
      const response = await fetch(relative('fleet'), { cache: 'no-store', headers: { authorization: 'Bearer ' + link.token } })
      if (!response.ok) throw new Error(String(response.status))
      drawFleet(await response.json())
    } catch {
      byId('people-count').textContent = 'not known now'
    }
  }
  setTimeout(pollFleet, fleetMs)
}
function drawFleet({ connections, users, members }) {
  byId('people-count').textContent = connections === 1 ? '1 connection' : connections + ' connections'
  const me = link.session?.userId
  byId('people').replaceChildren(...(users ?? []).map((user) => {
    const item = element('li')
    const name = element('span', '', user.userId)
    if (user.userId === me) name.append(' ', element('span', 'tag', 'this page'))
    item.append(name, element('span', 'soft small', user.connections === 1 ? '1 connection' : user.connections + ' connections'))
    return item
  }))
  byId('members').hidden = !Array.isArray(members) || members.length === 0
  byId('members').replaceChildren(...(members ?? []).map(({ role, boot, state }) => {
    const item = element('li')
    item.append(element('span', '', role), element('code', '', boot), element('span', 'soft', state))
    return item
  }))
}

// ---- publishing

const showWaiting = () => { byId('waiting').textContent = waiting.size === 0 ? '' : waiting.size + ' waiting for ok' }
function readData(text) {
  try {
    return { data: JSON.parse(text), kind: 'JSON' }
  } catch {
    return { data: text, kind: 'plain text' }
  }
}
const showKind = () => { byId('data-kind').textContent = 'sent as ' + readData(byId('publish-data').value).kind }
function onPublish(event) {
  event.preventDefault()
  const { data } = readData(byId('publish-data').value)
  publish(byId('publish-room').value.trim(), byId('publish-event').value.trim(), data, byId('ephemeral').checked)
  byId('publish-data').select()
}
function onBurst() {
  const room = byId('publish-room').value.trim() || lobby
  for (let n = 1; n <= burstSize; n += 1) publish(room, 'burst', { n, of: burstSize }, byId('ephemeral').checked)
}
function onDrop() {
  if (!link.up) return connect()
  const chosen = byId('publish-room').value.trim()
  goAway(rooms.has(chosen) ? chosen : lobby)
  showRooms()
}

// ---- the token

function readToken() {
  const query = new URLSearchParams(location.search)
  const given = new URLSearchParams(location.hash.slice(1)).get('token') ?? query.get('token')
  if (query.has('token')) {
    // What follows # is never sent to a server, nor to its log.
    history.replaceState(null, '', location.pathname + '#token=' + encodeURIComponent(query.get('token')))
  }
  try {
    return given ?? sessionStorage.getItem(tokenPlace)
  } catch {
    return given
  }
}
function onToken(event) {
  event.preventDefault()
  const token = byId('token').value.trim()
  if (token === '') return
  byId('token').value = ''
  byId('notice').hidden = true
  // Of this tab only; without storage it is asked for again after a reload.
  try { sessionStorage.setItem(tokenPlace, token) } catch {}
  start(token)
}
function forgetToken() {
  if (location.hash !== '') history.replaceState(null, '', location.pathname)
  try { sessionStorage.removeItem(tokenPlace) } catch {}
}

function begin() {
  byId('token-form').onsubmit = onToken
  byId('publish-form').onsubmit = onPublish
  byId('publish-data').oninput = showKind
  byId('burst').onclick = onBurst
  byId('drop').onclick = onDrop
  byId('notice-close').onclick = () => { byId('notice').hidden = true }
  byId('newest').onclick = () => { view.atEnd = true; scrollToEnd() }
  byId('clear').onclick = () => {
    byId('events').replaceChildren()
    view.total = 0
    drawRows()
  }
  byId('scroll').onscroll = ({ target }) => {
    view.atEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 40
    if (view.atEnd) byId('newest').hidden = true
  }
  byId('join-form').onsubmit = (event) => {
    event.preventDefault()
    join(byId('join-room').value.trim())
    byId('join-room').value = ''
  }
  addEventListener('online', () => { if (link.token !== '' && link.socket === null && !link.away) connect() })
  // A printed address that is opened in a tab with this page in it only changes what follows #.
  addEventListener('hashchange', () => {
    const next = readToken()
    if (next && next !== link.token) start(next)
  })
  showKind()
  setInterval(watch, secondMs)
  pollFleet()
  const token = readToken()
  if (token === null || token === '') showEntry(true)
  else start(token)
}
begin()
`
