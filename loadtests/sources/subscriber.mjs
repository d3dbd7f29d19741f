// One client that is subscribed to every room, and remembers the id of each event in the order in which it came.
import { WebSocket } from 'ws'
import { connect } from '@flotilla/client'

export async function subscribe({ url, token, rooms: names }) {
  const client = await connect({ url, token, WebSocket })
  const rooms = new Map(names.map((name) => [name, []]))
  let count = 0
  for (const [name, ids] of rooms) {
    await client.subscribe(name, {
      onEvent: ({ data }) => {
        ids.push(data.id)
        count += 1
      },
    })
  }
  return {
    rooms,
    get count() {
      return count
    },
    close: () => client.close(),
  }
}
