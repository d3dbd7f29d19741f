import { Buffer } from 'node:buffer'
import type { Writable } from 'node:stream'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as ws from 'ws'
import { textFrame, textFrames } from './wire.ts'

// Its types leave the receiver out.
const { Receiver } = ws as unknown as {
  readonly Receiver: new (options: object) => Writable
}

/** What the receiver of the library makes of these bytes, in pieces. */
function receive(bytes: Buffer, piece = bytes.length): Promise<string[]> {
  const receiver = new Receiver({ isServer: false, maxPayload: 0 })
  const texts: string[] = []
  return new Promise((resolve, reject) => {
    receiver.on('message', (data: Buffer, isBinary: boolean) => texts.push(isBinary ? 'binary' : data.toString('utf8')))
    receiver.on('error', reject)
    receiver.on('finish', () => resolve(texts))
    for (let at = 0; at < bytes.length; at += piece) receiver.write(bytes.subarray(at, at + piece))
    receiver.end()
  })
}

test('[EG40] the header tells the length at every boundary of its form', async () => {
  for (const bytes of [0, 1, 125, 126, 127, 65_535, 65_536, 65_537]) {
    const text = 'x'.repeat(bytes)
    expect(await receive(textFrame(text))).toEqual([text])
    expect(await receive(textFrames([text, 'between', text]))).toEqual([text, 'between', text])
  }
})

test('[EG40] any texts are received as they were written, however the bytes are cut', async () => {
  const text = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.string({ unit: 'grapheme', minLength: 100, maxLength: 200 }),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(text, { minLength: 1, maxLength: 8 }),
      fc.integer({ min: 1, max: 64 }),
      async (texts, piece) => {
        expect(await receive(textFrames(texts), piece)).toEqual(texts)
        expect(textFrames(texts)).toEqual(Buffer.concat(texts.map(textFrame)))
      },
    ),
    { numRuns: 100 },
  )
})
