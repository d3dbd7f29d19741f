// Makes the JSON schemas by which kubeconform judges the chart (test/chart/schemas) of what an API server says of itself:
//   kubectl get --raw /openapi/v2 | node scripts/kube-schemas.mjs
// One file per kind that the chart has, strict (a field that the kind has not is an error), with nothing but what judging takes.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = join(import.meta.dirname, '../test/chart/schemas')
/** `kind-group-version`, as kubeconform names files; `v1` alone is the core group. */
const kinds = [
  ...['configmap-v1', 'persistentvolumeclaim-v1', 'pod-v1', 'secret-v1', 'service-v1', 'serviceaccount-v1'],
  ...['deployment-apps-v1', 'statefulset-apps-v1', 'horizontalpodautoscaler-autoscaling-v2'],
  ...['ingress-networking-v1', 'networkpolicy-networking-v1', 'poddisruptionbudget-policy-v1'],
  ...['role-rbac-v1', 'rolebinding-rbac-v1'],
]

const { definitions, info } = JSON.parse(readFileSync(0, 'utf8'))
/** Kubernetes' own kinds of text that may be a number. */
const textOrNumber = new Set([
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
  'io.k8s.apimachinery.pkg.api.resource.Quantity',
])

const nameOf = ({ kind, group, version }) =>
  [kind.toLowerCase(), ...(group === '' ? [] : [group.split('.')[0]]), version].join('-')

/** The schema with what it refers to in `used`; descriptions and formats do not judge. */
function strict(schema, used) {
  if (Array.isArray(schema)) return schema.map((each) => strict(each, used))
  if (typeof schema !== 'object' || schema === null) return schema
  const { $ref, description: _, format, ...rest } = schema
  if ($ref !== undefined) {
    const name = $ref.replace('#/definitions/', '')
    if (!used.has(name)) {
      used.set(name, undefined)
      used.set(name, textOrNumber.has(name) ? { type: ['string', 'number'] } : strict(definitions[name], used))
    }
    return { $ref }
  }
  if (format === 'int-or-string') return { type: ['string', 'number'] }
  const judged = Object.fromEntries(
    Object.entries(rest)
      .filter(([key]) => !key.startsWith('x-'))
      .map(([key, value]) => [
        key,
        key === 'properties'
          ? Object.fromEntries(Object.entries(value).map(([name, each]) => [name, strict(each, used)]))
          : strict(value, used),
      ]),
  )
  return judged.properties === undefined ? judged : { additionalProperties: false, ...judged }
}

const made = new Map()
for (const [name, definition] of Object.entries(definitions)) {
  for (const each of definition['x-kubernetes-group-version-kind'] ?? []) {
    const file = nameOf(each)
    if (!kinds.includes(file)) continue
    const used = new Map()
    const schema = strict(definition, used)
    const { kind, group, version } = each
    schema.properties.apiVersion = { enum: [group === '' ? version : `${group}/${version}`] }
    schema.properties.kind = { enum: [kind] }
    schema.required = [...new Set([...(schema.required ?? []), 'apiVersion', 'kind'])]
    const definitionsUsed = Object.fromEntries([...used].toSorted(([a], [b]) => (a < b ? -1 : 1)))
    made.set(file, { $comment: `${name} of Kubernetes ${info.version}`, ...schema, definitions: definitionsUsed })
  }
}
const missing = kinds.filter((kind) => !made.has(kind))
if (missing.length > 0) throw new Error(`the API server does not have ${missing.join(', ')}`)
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })
for (const [file, schema] of made) writeFileSync(join(folder, `${file}.json`), `${JSON.stringify(schema)}\n`)
console.log(`${made.size} kinds of Kubernetes ${info.version} in test/chart/schemas`)
