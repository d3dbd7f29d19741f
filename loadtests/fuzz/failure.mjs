// What failed, once more, with less and less.
import { smallest } from './shrink.mjs'
import { openStage } from './stage.mjs'
import { textFrame } from './wire.mjs'

/**
 * The failure with the fewest inputs found that bring it about again, as text: of several items, of the inputs of one, and of the
 * letters of one; each is looked for with so many `attempts`. `again`: whether it came again at all.
 */
export async function shrunk({ fault, items }, { random, preload, attempts, progress }) {
  progress(`FAILED: ${fault}`)
  let stage = await openStage({ preload, random })
  const fails = async (some) => {
    const poster = stage.poster()
    let found
    for (const item of some) found ??= await stage.send(item, poster)
    poster.close()
    const lasting = await stage.faultNow()
    // What was wrong with an answer only can be asked again.
    if (lasting === undefined) return found !== undefined
    await stage.close()
    stage = await openStage({ preload, random })
    return true
  }
  const again = await fails(items)
  const least = again ? await leastOf(items, { fails, random, attempts }) : items
  await stage.close()
  return { fault, again, inputs: least.map(describe) }
}

async function leastOf(items, { fails, random, attempts }) {
  const few = await smallest(items, fails, attempts)
  const [only] = few
  if (few.length > 1 || only?.inputs === undefined) return few
  const inputs = await smallest(only.inputs, (some) => fails([{ ...only, inputs: some }]), attempts)
  const [input] = inputs
  if (inputs.length > 1 || input?.text === undefined) return [{ ...only, inputs }]
  const written = (letters) => {
    const text = letters.join('')
    return { ...only, inputs: [{ kind: input.kind, text, bytes: textFrame(random, text) }] }
  }
  return [written(await smallest([...input.text], (letters) => fails([written(letters)]), attempts))]
}

function describe({ kind, bytes, request, inputs }) {
  if (inputs === undefined) return { kind, request: bytes.toString('latin1') }
  const written = (input) => (input.text === undefined ? { hex: input.bytes.toString('hex') } : { text: input.text })
  const list = inputs.map((input) => ({ kind: input.kind, ...written(input) }))
  return { connection: kind, request: request.toString('latin1'), inputs: list }
}
