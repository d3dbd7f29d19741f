import { describe, expect, it } from 'vitest'
import { attentionOf } from './attention.ts'
import type { AttentionOptions, Page } from './attention.ts'
import type { Client } from './client.ts'
import type { Peer } from './testing/fake-server.ts'
import { harness, nothingElse } from './testing/harness.ts'

/** A page that is hidden, seen and used by the test. */
class FakePage extends EventTarget {
  visibilityState: DocumentVisibilityState = 'visible'

  turn(state: DocumentVisibilityState): void {
    this.visibilityState = state
    this.dispatchEvent(new Event('visibilitychange'))
  }
  use(): void {
    this.dispatchEvent(new Event('keydown'))
  }
}

const long = 60_000

async function begun(options: AttentionOptions) {
  const { pair } = await harness()
  const { client, peer } = await pair()
  const page = new FakePage()
  const attention = attentionOf(client, {
    ...{ idleMs: long, hiddenMs: long, repeatMs: long, page: page as unknown as Page },
    ...options,
  })
  return { client, peer, page, attention }
}

async function expectShown(peer: Peer, shown: object): Promise<void> {
  const frame = await peer.expect('presence')
  expect(frame).toMatchObject(shown)
  peer.ok(frame, {})
}

/** Nothing more was said until now. */
async function expectNoMore(client: Client, peer: Peer): Promise<void> {
  await nothingElse(client, peer)
}

describe('attention', () => {
  it('[AT1] a page that is seen is online, and one that stays hidden away, until it is seen again (EV5)', async () => {
    const { client, peer, page } = await begun({ hiddenMs: 30 })
    await expectShown(peer, { status: 'online' })
    page.turn('hidden')
    await expectShown(peer, { status: 'away' })
    page.use()
    await expectNoMore(client, peer)
    page.turn('visible')
    await expectShown(peer, { status: 'online' })
  })

  it('[AT1] one that is hidden for a moment is not left', async () => {
    const { client, peer, page } = await begun({ hiddenMs: 5_000 })
    await expectShown(peer, { status: 'online' })
    page.turn('hidden')
    page.turn('visible')
    await expectNoMore(client, peer)
  })

  it('[AT2] who does nothing is away, and online with the next thing that is done', async () => {
    const { peer, page } = await begun({ idleMs: 40 })
    await expectShown(peer, { status: 'online' })
    await expectShown(peer, { status: 'away' })
    page.use()
    await expectShown(peer, { status: 'online' })
    await expectShown(peer, { status: 'away' })
  })

  it('[AT3] a page that is used says so again: another one of the user may have said that it was left', async () => {
    const { peer, page } = await begun({ repeatMs: 20 })
    await expectShown(peer, { status: 'online' })
    const using = setInterval(() => page.use(), 5)
    await expectShown(peer, { status: 'online' })
    await expectShown(peer, { status: 'online' })
    clearInterval(using)
  })

  it('[AT4] what is chosen stays, and goes with it; without a status it is by itself again', async () => {
    const { client, peer, page, attention } = await begun({ hiddenMs: 10 })
    await expectShown(peer, { status: 'online' })
    const busy = attention.show({ status: 'busy', data: { page: '/deals/7' } })
    await expectShown(peer, { status: 'busy', data: { page: '/deals/7' } })
    await busy
    page.turn('hidden')
    await new Promise((resolve) => setTimeout(resolve, 30))
    await expectNoMore(client, peer)
    const again = attention.show({ data: { page: '/' } })
    await expectShown(peer, { status: 'away', data: { page: '/' } })
    await again
    page.turn('visible')
    await expectShown(peer, { status: 'online', data: { page: '/' } })
  })

  it('[AT5] closed, or with the client closed, it looks at the page no more', async () => {
    const { client, peer, page, attention } = await begun({})
    await expectShown(peer, { status: 'online' })
    attention.close()
    page.turn('hidden')
    page.turn('visible')
    await expectNoMore(client, peer)
    const listens = new FakePage()
    let count = 0
    listens.addEventListener = () => void (count += 1)
    listens.removeEventListener = () => void (count -= 1)
    attentionOf(client, { page: listens as unknown as Page })
    expect(count).toBeGreaterThan(3)
    client.close()
    expect(count).toBe(0)
  })
})
