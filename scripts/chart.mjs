// helm/flotilla/values.schema.json and README.md, from values.yaml and its comments: node scripts/chart.mjs [--check]
import { readFileSync } from 'node:fs'
import { isMap, isScalar, parseDocument } from 'yaml'
import { shapes } from './chart-shapes.mjs'
import { writeMade } from './made.mjs'

const folder = new URL('../helm/flotilla/', import.meta.url)
const document = parseDocument(readFileSync(new URL('values.yaml', folder), 'utf8'))

/** Of its comment the part after `# --`. */
function describe(key, first) {
  const comment = key.commentBefore ?? first ?? ''
  const at = comment.indexOf(' -- ')
  return at < 0 ? undefined : comment.slice(at + 4).replaceAll(/\s*\n\s*/g, ' ')
}

function schemaOf(value) {
  if (Array.isArray(value))
    return { type: 'array', items: value.some((each) => typeof each === 'string') ? { type: 'string' } : {} }
  switch (typeof value) {
    case 'boolean':
      return { type: 'boolean' }
    case 'string':
      return { type: 'string' }
    case 'number':
      return { type: 'integer', minimum: 0 }
    default:
      throw new Error(`no shape for ${JSON.stringify(value)}: name one in scripts/chart-shapes.mjs`)
  }
}

const rows = []
const used = new Set()

/** The shape that is named for this path, or for any component's setting of that name. */
function shapeOf(path) {
  const name = [path.join('.'), `*.${path.slice(1).join('.')}`, `**.${path.at(-1)}`].find(
    (each) => shapes[each] !== undefined,
  )
  if (name !== undefined) used.add(name)
  return shapes[name]
}

function walk(map, path) {
  const properties = {}
  map.items.forEach(({ key, value }, i) => {
    const at = [...path, key.value]
    const description = describe(key, i === 0 ? map.commentBefore : undefined)
    const shape = shapeOf(at)
    const plain = value.toJSON()
    const isGroup = isMap(value) && value.items.length > 0 && shape === undefined
    if (!isGroup) rows.push({ name: at.join('.'), plain, description })
    const schema = isGroup ? walk(value, at) : (shape ?? schemaOf(isScalar(value) ? value.value : plain))
    properties[key.value] = { ...(description !== undefined && { description }), ...schema }
  })
  return { type: 'object', additionalProperties: false, properties }
}

const schema = { $schema: 'http://json-schema.org/draft-07/schema#', ...walk(document.contents, []) }
// What an umbrella chart may hand down.
schema.properties.global = { type: 'object' }
const unused = Object.keys(shapes).filter((name) => !used.has(name))
if (unused.length > 0) throw new Error(`no such value: ${unused.join(', ')}`)

const table = rows.map(({ name, plain, description = '' }) => {
  const text = JSON.stringify(plain).replaceAll('|', String.raw`\|`)
  return `| \`${name}\` | \`${text}\` | ${description.replaceAll('|', String.raw`\|`)} |`
})
const [before] = readFileSync(new URL('README.md', folder), 'utf8').split('## Values\n')
const readme = `${before}## Values\n\n| value | default | meaning |\n|---|---|---|\n${table.join('\n')}\n`

writeMade(
  { 'values.schema.json': `${JSON.stringify(schema, null, 2)}\n`, 'README.md': readme },
  { folder, source: 'values.yaml' },
)
