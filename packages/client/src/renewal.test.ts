import { expect, test } from 'vitest'
import { base64url } from './socket.ts'
import { harness, nothingElse, until } from './testing/harness.ts'

/** Only the payload is looked at. */
const tokenOf = (claims: object): string => `e30.${base64url(JSON.stringify(claims))}.c2ln`
const tokenFor = (n: number, lifeMs: number): string => tokenOf({ n, exp: (Date.now() + lifeMs) / 1_000 })

test('[CC34] a token from a function is renewed before it expires, over a refusal, and again on the next connection', async () => {
  const { server, pair } = await harness()
  let given = 0
  const { peer, client } = await pair({ token: () => tokenFor((given += 1), 2_900) })
  const first = await peer.expect('auth')
  expect(given).toBe(2)
  peer.send({ type: 'error', id: first.id, code: 'UNAUTHORIZED', message: 'Invalid token' })
  const second = await peer.expect('auth')
  expect(second.token).not.toBe(first.token)
  peer.ok(second, {})
  peer.kill()
  const next = await server.accept()
  await next.welcome()
  await next.expect('auth')
  expect(client.state).toBe('connected')
  client.close()
})

test('[CC34] a token that is a text, and one that does not say when it expires, stay as they are', async () => {
  const { pair } = await harness()
  let given = 0
  const fixed = await pair({ token: tokenFor(0, 2_100) })
  const opaque = await pair({ token: () => `opaque-${(given += 1)}` })
  const from = performance.now()
  await until(() => performance.now() - from > 2_600, 'the time at which it would be renewed')
  for (const { client, peer } of [fixed, opaque]) await nothingElse(client, peer)
  expect(given).toBe(1)
})

test('[CC39] a clock that is wrong makes nobody ask for tokens all the time, nor too late where a token says its whole life', async () => {
  const { pair } = await harness()
  const hourMs = 3_600_000
  let [ahead, behind] = [0, 0]
  const aheadByAnHour = await pair({ token: () => tokenFor((ahead += 1), -hourMs + 60_000) })
  const behindByAnHour = await pair({
    token: () => {
      const iat = (Date.now() + hourMs) / 1_000
      return tokenOf({ n: (behind += 1), iat, exp: iat + 2.9 })
    },
  })
  await behindByAnHour.peer.expect('auth')
  expect(behind).toBe(2)
  await nothingElse(aheadByAnHour.client, aheadByAnHour.peer)
  expect(ahead).toBe(1)
})
