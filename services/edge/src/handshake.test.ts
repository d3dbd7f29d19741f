import type { IncomingMessage } from 'node:http'
import { expect, test } from 'vitest'
import { acceptHandshake, tokenOf } from './handshake.ts'

const headers = {
  ...{ upgrade: 'websocket', connection: 'Upgrade', 'sec-websocket-version': '13' },
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
}
const request = (more: Record<string, string | undefined> = {}, url = '/ws', method = 'GET'): IncomingMessage =>
  ({ method, url, headers: { ...headers, ...more } }) as unknown as IncomingMessage

test('[EG45] a handshake is answered as RFC 6455 has it, with the subprotocol of ours if it was offered', () => {
  const answer = acceptHandshake(request())?.toString() ?? ''
  expect(answer).toContain('\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n')
  expect(answer).toMatch(/^HTTP\/1\.1 101 [^]*\r\n\r\n$/)
  expect(answer).not.toContain('Protocol:')
  const offered = { 'sec-websocket-protocol': 'other, flotilla.v1,flotilla.token.abc' }
  expect(acceptHandshake(request(offered))?.toString()).toContain('\r\nSec-WebSocket-Protocol: flotilla.v1\r\n')
  expect(acceptHandshake(request(offered))?.toString()).not.toContain('abc')
})

test.each<readonly [string, IncomingMessage]>([
  ['another method', request({}, '/ws', 'POST')],
  ['no key', request({ 'sec-websocket-key': undefined })],
  ['a key that is none', request({ 'sec-websocket-key': 'x\r\ny' })],
  ['another version', request({ 'sec-websocket-version': '8' })],
  ['another protocol', request({ upgrade: 'h2c' })],
])('[EG45] %s is no handshake', (_, wrong) => {
  expect(acceptHandshake(wrong)).toBeUndefined()
})

test('[EG20] of several tokens the one in the subprotocol counts, then that of the header', () => {
  const protocol = {
    'sec-websocket-protocol': `flotilla.v1, flotilla.token.${Buffer.from('a.b').toString('base64url')}`,
  }
  const authorization = { authorization: 'Bearer c.d' }
  expect(tokenOf(request({ ...protocol, ...authorization }, '/ws?token=e.f'))).toBe('a.b')
  expect(tokenOf(request(authorization, '/ws?token=e.f'))).toBe('c.d')
  expect(tokenOf(request({}, '/ws?x=1&token=e.f'))).toBe('e.f')
  expect(tokenOf(request())).toBeUndefined()
})
