// Mutations: of a JSON value as a tree, in which a key may stand twice and a number may be no number, and of a text.
import { numbers, pieces, texts } from './hostile.mjs'

/**
 * A value of `JSON.parse` as a tree that can be mutated: an object is `{ members }`, a list of pairs, and `{ raw }` is text that is
 * written as it is, whatever JSON says.
 */
function treeOf(value) {
  if (Array.isArray(value)) return value.map(treeOf)
  if (typeof value !== 'object' || value === null) return value
  return { members: Object.entries(value).map(([key, item]) => [key, treeOf(item)]) }
}

const isObject = (at) => typeof at === 'object' && at !== null && !Array.isArray(at)
const membersOf = (at) => (isObject(at) ? at.members : undefined)

/** The JSON text of a tree. With `escape` every character of its texts is written as its number. */
function writeTree(tree, escape = false) {
  const text = escape ? escaped : (each) => JSON.stringify(each)
  const write = (at) => {
    if (isObject(at) && 'raw' in at) return at.raw
    if (Array.isArray(at)) return `[${at.map(write).join(',')}]`
    if (isObject(at)) return `{${at.members.map(([key, item]) => `${text(key)}:${write(item)}`).join(',')}}`
    return typeof at === 'string' ? text(at) : (JSON.stringify(at) ?? 'null')
  }
  return write(tree)
}

function escaped(text) {
  const units = Array.from({ length: text.length }, (_, i) => text.charCodeAt(i).toString(16).padStart(4, '0'))
  return `"${units.map((unit) => `\\u${unit}`).join('')}"`
}

/** Every place of the tree that a value stands at, as `{ get, set, remove, rename }`. */
function places(tree) {
  const found = []
  const visit = (at) => {
    const list = membersOf(at) ?? (Array.isArray(at) ? at : [])
    // Of a list of thousands the first are as good as any.
    for (const i of list.slice(0, 20).keys()) {
      const member = isObject(at) ? list[i] : undefined
      const get = () => (member === undefined ? list[i] : member[1])
      const set = (value) => void (member === undefined ? (list[i] = value) : (member[1] = value))
      found.push({ get, set, member, list, i })
      visit(get())
    }
  }
  visit(tree)
  return found
}

function nested(random, value, depth) {
  const open = random.chance(0.5) ? '[' : '{"a":'
  const close = open === '[' ? ']' : '}'
  return { raw: `${open.repeat(depth)}${writeTree(value)}${close.repeat(depth)}` }
}

function hostileValue(random, words) {
  return random.weighted([
    [6, () => random.pick(texts)],
    [4, () => random.pick(words)],
    [4, () => ({ raw: random.pick(numbers) })],
    [2, () => random.pick([null, true, false, [], { members: [] }])],
    [1, () => random.pick(words) + random.pick(texts)],
    [1, () => nested(random, 1, random.pick([1, 5, 30, 31, 32, 33, 100]))],
  ])()
}

const treeMutations = [
  [8, (random, { at, words }) => at.set(hostileValue(random, words))],
  [3, (_, { at }) => at.list.splice(at.i, 1)],
  [3, (random, { at, words }) => at.member && at.list.push([at.member[0], hostileValue(random, words)])],
  [2, (random, { at, words }) => at.member && (at.member[0] = random.pick(random.chance(0.5) ? texts : words))],
  [2, (random, { at, words }) => at.member && at.list.push([random.pick(words), hostileValue(random, words)])],
  [2, (random, { at, words }) => at.member && at.list.push([random.pick(texts), random.pick(words)])],
  [2, (random, { at }) => at.set(nested(random, at.get(), random.pick([1, 2, 16, 28, 32, 60])))],
  [1, (_, { at }) => at.set([at.get(), at.get()])],
  [2, (random, { at, all }) => swapValues(at, random.pick(all))],
  [0.3, (random, { at }) => at.set(wide(random.pick([17, 33, 200, 999, 1_001])))],
  [0.02, (random, { at }) => at.set(wide(random.pick([19_990, 20_001])))],
  [0.02, (random, { at }) => at.set(nested(random, 1, random.pick([1_000, 30_000])))],
  [0.2, (random, { at }) => Array.isArray(at.get()) && repeatItems(at, random.pick([100, 999, 1_001]))],
]

function swapValues(a, b) {
  const value = a.get()
  a.set(writeTree(b.get()).length > 10_000 ? null : b.get())
  b.set(value)
}
function wide(keys) {
  return { members: Array.from({ length: keys }, (_, i) => [`k${i}`, i]) }
}
function repeatItems(at, count) {
  const items = at.get()
  if (items.length > 0) at.set(Array.from({ length: count }, (_, i) => items[i % items.length]))
}

/** The text of `value` after one to four mutations. `words`: names that mean something where it is sent. */
export function mutateValue(random, value, words) {
  const tree = treeOf(value)
  const root = [tree]
  for (
    let i = random.weighted([
      [6, 1],
      [3, 2],
      [1, 4],
    ]);
    i > 0;
    i -= 1
  ) {
    const all = places(root)
    // What a mutation put inside of itself by a swap would have no end.
    if (all.length === 0 || all.length > 2_000) break
    random.weighted(treeMutations)(random, { at: random.pick(all), all, words })
    if (isCyclic(root)) return writeTree(treeOf(value))
  }
  return root.length === 0 ? '' : writeTree(root[0], random.chance(0.05))
}

function isCyclic(tree, above = new Set()) {
  const items = membersOf(tree)?.map(([, item]) => item) ?? (Array.isArray(tree) ? tree : [])
  if (items.length === 0) return false
  if (above.has(tree)) return true
  const within = new Set(above).add(tree)
  return items.some((item) => isCyclic(item, within))
}

function range(random, length) {
  const from = random.int(0, length)
  return [from, Math.min(length, from + random.int(1, random.chance(0.8) ? 8 : 80))]
}

const textMutations = [
  [3, (random, text) => text.slice(0, random.int(0, text.length))],
  [1, (random, text) => text.slice(random.int(0, text.length))],
  [3, (random, text) => cut(text, range(random, text.length), () => '')],
  [3, (random, text) => cut(text, range(random, text.length), (piece) => piece.repeat(random.int(2, 4)))],
  [3, swapPieces],
  [6, (random, text) => cut(text, [random.int(0, text.length)], () => random.pick(pieces))],
  [4, flipBit],
  [2, (random, text, other) => text.slice(0, random.int(0, text.length)) + other.slice(random.int(0, other.length))],
  [1, (random, text) => cut(text, range(random, text.length), () => String.fromCharCode(random.int(0, 0xffff)))],
  [1, (_, text, other) => text + other],
]

function cut(text, [from, to = from], by) {
  return text.slice(0, from) + by(text.slice(from, to)) + text.slice(to)
}
function swapPieces(random, text) {
  const [from, to] = range(random, text.length)
  const at = random.int(to, text.length)
  return text.slice(0, from) + text.slice(to, at) + text.slice(from, to) + text.slice(at)
}
function flipBit(random, text) {
  const i = random.int(0, Math.max(0, text.length - 1))
  return cut(text, [i, i + 1], (unit) =>
    unit === '' ? '' : String.fromCharCode(unit.charCodeAt(0) ^ (1 << random.int(0, 6))),
  )
}

/** The text after one to three mutations; some take pieces of `other`. */
export function mutateText(random, text, other) {
  let mutated = text
  for (
    let i = random.weighted([
      [6, 1],
      [3, 2],
      [1, 3],
    ]);
    i > 0;
    i -= 1
  )
    mutated = random.weighted(textMutations)(random, mutated, other)
  return mutated
}

/** The bytes with bits flipped, cut, or doubled: what is no UTF-8, no HTTP and no WebSocket any more. */
export function mutateBytes(random, bytes) {
  const mutated = Buffer.from(bytes)
  for (let i = random.int(1, 4); i > 0 && mutated.length > 0; i -= 1)
    mutated[random.int(0, mutated.length - 1)] ^= 1 << random.int(0, 7)
  return random.weighted([
    [4, () => mutated],
    [2, () => mutated.subarray(0, random.int(0, mutated.length))],
    [1, () => Buffer.concat([mutated, mutated.subarray(random.int(0, mutated.length))])],
    [1, () => Buffer.concat([mutated, random.bytes(random.int(1, 40))])],
  ])()
}
