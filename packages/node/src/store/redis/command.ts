import { Command } from 'ioredis'

export type Arg = string | number

/**
 * A command of a thousand arguments costs ioredis a flattened copy of them and a call per argument for its length in
 * bytes: half of what it costs to send a commit. Here the text is put together at once, and measured once: when it has
 * as many bytes as characters, so has each of its parts.
 */
export class FlatCommand extends Command {
  constructor(name: string, args: readonly Arg[]) {
    super(name, [], { replyEncoding: 'utf8' })
    this.args = args.map(String)
  }

  override toWritable(): Buffer {
    const text = this.#text((arg) => arg.length)
    if (Buffer.byteLength(text) === text.length) return Buffer.from(text, 'latin1')
    return Buffer.from(this.#text((arg) => Buffer.byteLength(arg)))
  }

  #text(bytesOf: (arg: string) => number): string {
    const args = this.args as readonly string[]
    let text = `*${args.length + 1}\r\n$${this.name.length}\r\n${this.name}\r\n`
    for (const arg of args) text += `$${bytesOf(arg)}\r\n${arg}\r\n`
    return text
  }
}
