import { Command } from 'ioredis'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { FlatCommand } from './command.ts'

it('[ST50] a command is written as ioredis writes it, whatever characters it has', () => {
  const arg = fc.oneof(fc.string({ unit: 'binary' }), fc.integer(), fc.constantFrom('é', '日本', '😀', '', '\r\n'))
  fc.assert(
    fc.property(fc.array(arg, { maxLength: 20 }), (args) => {
      const theirs = new Command('XADD', [...args]).toWritable({})
      expect(new FlatCommand('XADD', args).toWritable().equals(Buffer.from(theirs))).toBe(true)
    }),
  )
})
