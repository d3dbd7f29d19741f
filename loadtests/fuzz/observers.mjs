// Who looks on while others send nonsense: the watcher is where they may publish, the witness where they may not.
import { WebSocket } from 'ws'
import { signToken } from '@flotilla/node/jwt'
import { until } from '../harness/processes.mjs'
import { secret } from './fleet.mjs'
import { permissions, rooms, tenant, traceOf } from './frames.mjs'
import { mark } from './judge.mjs'

/** A fleet that has not taken an event and delivered it within this time hangs, ms. */
const roundTripMs = 5_000
const witnessRooms = ['deal:vault:1', 'deal:vault:2', 'tenant:vault', 'user:witness']

/** What was published lately, by traces: older ones are forgotten in steps, so that a run of any length can be judged. */
export function createSent() {
  let generations = [new Set(), new Set(), new Set()]
  return {
    add: (trace) => void generations[0].add(trace),
    has: (trace) => generations.some((each) => each.has(trace)),
    forget: () => void (generations = [new Set(), ...generations.slice(0, 2)]),
  }
}

/** A well-behaved client. `onEvent(frame)` for events; what it must not be told is put into `faults`. */
async function open({ port, userId, tenantId, own, faults, onEvent }) {
  const token = signToken({ secret, sub: userId, tenant: tenantId, permissions, ttlSeconds: 86_400 })
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, {
    headers: { authorization: `Bearer ${token}` },
    perMessageDeflate: false,
  })
  const answers = new Map()
  let ids = 0
  socket.on('message', (data) => {
    const frame = JSON.parse(data.toString())
    if (frame.type === 'event') onEvent(frame)
    else if (frame.recovered === false) faults.push(`${userId} was told of a loss: ${data.toString().slice(0, 200)}`)
    else if (frame.id !== undefined) answers.set(frame.id, frame)
  })
  socket.on('close', (code) => faults.push(`${userId} was disconnected with ${code}`))
  socket.on('error', () => {})
  const ask = async (frame) => {
    const id = (ids += 1)
    socket.send(JSON.stringify({ ...frame, id }))
    const answer = await until(`${userId}: an answer to ${frame.type}`, () => answers.get(id), roundTripMs)
    answers.delete(id)
    return answer
  }
  await until(`${userId} is connected`, () => socket.readyState === WebSocket.OPEN)
  // The fleet may not have a plan yet.
  await until(`${userId} is in its rooms`, async () => {
    const { rooms: entered } = await ask({ type: 'resume', rooms: own.map((room) => ({ room })) })
    return entered.every(({ error }) => error === undefined)
  })
  const close = () => {
    socket.removeAllListeners('close')
    socket.terminate()
  }
  return { ask, close }
}

/** `heard()`: events so far. `roundTrip()` rejects when an event does not come back in time. */
export async function startWatcher(port, sent, faults) {
  const heads = new Map()
  let heard = 0
  let last
  const onEvent = (frame) => {
    const { room, seq, event, data, meta } = frame
    if (!rooms.includes(room)) return
    heard += 1
    last = data
    if (seq !== undefined) {
      const head = heads.get(room)
      if (head !== undefined && seq !== head + 1) faults.push(`${room}: event ${seq} follows ${head}`)
      heads.set(room, seq)
    }
    if (!sent.has(traceOf({ room, event, data }, meta.userId)))
      faults.push(`nobody published ${JSON.stringify(frame).slice(0, 400)}`)
  }
  const { ask, close } = await open({ port, userId: 'watcher', tenantId: tenant, own: rooms, faults, onEvent })
  let trips = 0
  return {
    close,
    heard: () => heard,
    roundTrip: async () => {
      const [room] = rooms
      const data = `trip ${(trips += 1)}`
      sent.add(traceOf({ room, event: 'round', data }, 'watcher'))
      const answer = await ask({ type: 'publish', room, event: 'round', data, key: data })
      if (answer.type !== 'ok') throw new Error(`a publish was answered ${JSON.stringify(answer)}`)
      await until(
        'the event comes back',
        () => heads.get(room) >= answer.position.seq && last !== undefined,
        roundTripMs,
      )
    },
  }
}

/** The witness publishes and hears its own, numbered without a hole: whatever else got into its rooms would show. */
export async function startWitness(port, faults) {
  const counts = new Map(witnessRooms.map((room) => [room, 0]))
  const onEvent = ({ room, seq, data, meta }) => {
    if (room.startsWith('public:')) return
    const count = (counts.get(room) ?? 0) + 1
    counts.set(room, count)
    const isOwn = meta.userId === 'witness' && data === `${mark} ${count}` && seq === count
    if (!isOwn) faults.push(`the witness hears in ${room}: ${JSON.stringify({ seq, data, meta }).slice(0, 400)}`)
  }
  const { ask, close } = await open({ port, userId: 'witness', tenantId: 'vault', own: witnessRooms, faults, onEvent })
  let published = 0
  return {
    close,
    roundTrip: async () => {
      published += 1
      for (const room of witnessRooms) {
        const answer = await ask({
          type: 'publish',
          room,
          event: 'e',
          data: `${mark} ${published}`,
          key: `w${published}`,
        })
        if (answer.type !== 'ok') throw new Error(`a publish was answered ${JSON.stringify(answer)}`)
      }
      await until(
        'the witness hears itself',
        () => [...counts.values()].every((count) => count >= published),
        roundTripMs,
      )
    },
  }
}
