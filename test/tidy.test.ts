import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { controlConfig } from '@flotilla/control/config'
import { edgeConfig } from '@flotilla/edge/config'
import { ingestConfig } from '@flotilla/ingest/config'
import { namesOf, renderMarkdown } from '@flotilla/node/config'
import { shardConfig } from '@flotilla/shard/config'
import { describe, expect, test } from 'vitest'
import { parts } from './mutants/parts.mjs'
import { mutations } from './mutations/list.mjs'

const root = join(import.meta.dirname, '..')
const notOurs = new Set(['node_modules', 'dist', 'out', '.git'])
const maxLines = 400

/** Files that may be longer than 400 lines, and why. */
const long: Readonly<Record<string, string>> = {
  LICENSE: 'a text of others',
  'docs/spec.md': 'one line per rule; all rules of the fleet in one place',
  'package-lock.json': 'made by npm',
  'docs/policy.schema.json': 'generated from the code, for machines',
  'deploy/manifests/flotilla.yaml': 'made from the chart, for machines',
  'helm/flotilla/values.schema.json': 'generated from values.yaml, for machines',
  'services/ingest/openapi.json': 'generated from the code, for machines',
  'services/ingest/sources.schema.json': 'generated from the code, for machines',
}

function listFiles(folder = ''): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`
    if (notOurs.has(entry.name) || entry.name.endsWith('.log')) return []
    return entry.isDirectory() ? listFiles(path) : entry.isFile() ? [path] : []
  })
}

const files = listFiles()
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const isCode = (path: string): boolean => /\.(ts|mjs)$/.test(path)
const isTest = (path: string): boolean => /\.test\.ts$|\/(sim|testing|test)\/|^test\/|\/contract[^/]*\.ts$/.test(path)
const source = files.filter((path) => isCode(path) && !isTest(path))
/** Without comments: their words are not code. */
const bare = (text: string): string => text.replaceAll(/\/\*[^]*?\*\/|^\s*\/\/.*$/gm, '')

/** All matches of the pattern's first group in these files, with their place. */
function find(paths: readonly string[], pattern: RegExp, of: (path: string) => string = read): string[] {
  return paths.flatMap((path) => Array.from(of(path).matchAll(pattern), ([all, group]) => `${path}: ${group ?? all}`))
}

const found = (paths: readonly string[], pattern: RegExp): Set<string> =>
  new Set(find(paths, pattern).map((line) => line.slice(line.indexOf(': ') + 2)))

const missing = (from: Iterable<string>, within: ReadonlySet<string>): string[] =>
  [...from].filter((each) => !within.has(each)).toSorted()

describe('the code', () => {
  test('[TD1] no file is longer than 400 lines, but for a listed reason', () => {
    const lines = (path: string): number => read(path).split('\n').length - 1
    // Made by scripts/monitoring.mjs, for machines.
    const own = files.filter((path) => !/^helm\/flotilla\/(?:rules|dashboards)\//.test(path))
    const tooLong = own.filter((path) => lines(path) > maxLines)
    expect(tooLong.filter((path) => long[path] === undefined)).toEqual([])
    expect(Object.keys(long).filter((path) => !files.includes(path))).toEqual([])
  })

  test('[TD2] names say what a thing is', () => {
    const vague = /(^|\/)(utils?|common|helpers?|types)(\.|\/|$)/i
    expect(files.filter((path) => vague.test(path))).toEqual([])
    expect(find(files.filter(isCode), /\bclass \w+(?:Manager|Helper|Handler|Service)\b/g)).toEqual([])
  })

  test('[TD3] nothing is left to do in comments', () => {
    expect(find(files.filter(isCode), /\b(?:TO[D]O|FIX[M]E|X[X]X)\b/g)).toEqual([])
  })

  test('[TD4] the core is synchronous and imports nothing but itself and zod', () => {
    const core = source.filter((path) => path.startsWith('packages/core/src/'))
    const code = (path: string): string => bare(read(path))
    expect(core.length).toBeGreaterThan(20)
    expect(find(core, /\b(?:await|async)\b|\bPromise[.<(]/g, code)).toEqual([])
    const imports = find(core, /\b(?:from|import)\s*\(?'([^']+)'/g, code)
    expect(imports.filter((line) => !/: (zod|\.\/[\w-]+\.ts)$/.test(line))).toEqual([])
  })

  test('[TD5] no service imports another, no package a service, and nothing reaches into another folder', () => {
    const own = (path: string): string => path.split('/').slice(0, 2).join('/')
    const foreign = source
      .filter((path) => /^(packages|services)\//.test(path))
      .flatMap((path) => {
        const imported = Array.from(
          bare(read(path)).matchAll(/\b(?:from|import)\s*\(?'([^']+)'/g),
          ([, name = '']) => name,
        )
        const outside = imported.filter((name) => name.startsWith('.') && own(join(path, '..', name)) !== own(path))
        const services = imported.filter((name) => /^@flotilla\/(?:edge|shard|control|ingest)\b/.test(name))
        return [...outside, ...services].map((name) => `${path}: ${name}`)
      })
    expect(foreign).toEqual([])
  })

  test('[TD6] no file knows the machine it was written on', () => {
    const ours = files.filter((path) => path !== 'package-lock.json' && !/\.(png|svg|ico)$/.test(path))
    const paths = /(?<![\w.@*$)}\]-])\/(?:work|root|home)\/[\w.]+|\bshared\/(?:design|research)\b/g
    const hosts = /\b(?:registry|artifactory|verdaccio|proxy)\.(?!npmjs\.org\b)[a-z0-9-]+\.[a-z]{2,}\b/g
    expect([...find(ours, paths), ...find(ours, hosts)]).toEqual([])
  })
})

test('[TD12] what `make mutations` leaves out is there, once', () => {
  const gone = mutations.filter((each) => read(each.file).split(each.find).length !== 2)
  expect(mutations.length).toBeGreaterThan(15)
  expect(gone.map(({ rule }) => rule)).toEqual([])
})

test('[TD13] every file of the core is in a part of `make mutants`', () => {
  const files = readdirSync(join(root, 'packages/core/src')).filter((file) => /^[a-z-]+\.ts$/.test(file))
  const listed = Object.values(parts).flat()
  expect(listed.map((file) => `${file}.ts`).toSorted()).toEqual(files.toSorted())
})

describe('the documents', () => {
  test('[TD7] every rule of docs/spec.md has a test whose title begins with its id, and every such id is a rule', () => {
    const list = find(['docs/spec.md'], /^- \*\*([A-Z]\d?[A-Z]\d+)\*\*/gm).map((line) => line.split(': ')[1] ?? '')
    const rules = new Set(list)
    expect(list.filter((id, i) => list.indexOf(id) !== i)).toEqual([])
    const tested = new Set<string>()
    for (const title of found(
      files.filter((path) => isCode(path) && isTest(path)),
      /['"`]((?:\[[A-Z]\d?[A-Z]\d+(?:, ?[A-Z]\d?[A-Z]\d+)*\] ?)+)/g,
    ))
      for (const [id] of title.matchAll(/[A-Z]\d?[A-Z]\d+/g)) tested.add(id)
    expect({ untested: missing(rules, tested), unknown: missing(tested, rules) }).toEqual({ untested: [], unknown: [] })
  })

  test('[TD8] docs/config.md has the settings of every service, as they are', () => {
    const page = read('docs/config.md')
    const tables = [edgeConfig, shardConfig, controlConfig, ingestConfig]
    for (const table of tables) expect(page, 'run: make docs').toContain(renderMarkdown(table))
    const known = new Set(tables.flatMap((table) => [...namesOf(table)]))
    const rows = new Set(Array.from(page.matchAll(/^\| `(FLOTILLA_\w+)`/gm), ([, name = '']) => name))
    expect(missing(rows, known)).toEqual([])
    const elsewhere = found(['README.md', 'ARCHITECTURE.md', 'docs/operations.md'], /\bFLOTILLA_[A-Z0-9_]+[A-Z0-9]\b/g)
    expect(missing(elsewhere, known)).toEqual([])
  })

  test('[TD9] docs/metrics.md has every metric, and no other', () => {
    const inCode = new Set<string>()
    for (const path of source.filter((each) => /^(packages\/node|services\/\w+)\/src\//.test(each)))
      for (const [, name = ''] of bare(read(path)).matchAll(/'(flotilla_[a-z0-9_]*[a-z0-9])'/g)) inCode.add(name)
    const inPage = new Set(
      Array.from(read('docs/metrics.md').matchAll(/^\| `(flotilla_\w+)`/gm), ([, name = '']) => name),
    )
    expect(inCode.size).toBeGreaterThan(20)
    expect({ undocumented: missing(inCode, inPage), gone: missing(inPage, inCode) }).toEqual({
      undocumented: [],
      gone: [],
    })
  })

  test('[TD14] what is measured with the Node of the image is', () => {
    const majorIn = (path: string, pattern: RegExp): string[] =>
      Array.from(read(path).matchAll(pattern), ([, at = '']) => at)
    expect(majorIn('Makefile', /^IMAGE_NODE := node@(\d+)$/gm)).toEqual(['26'])
    expect(majorIn('Dockerfile', /^ARG \w+=\S*node:(\d+)-/gm)).toEqual(['26', '26'])
  })

  test('[TD15] docs/requirements.md names the tests of each requirement by the ids at the end of their titles', () => {
    const page = read('docs/requirements.md')
    const row = /^\| ([A-Z]{2}\d+) \| (there|partly|not there) \| [^|]+ \| ([^|]*) ?\| ([^|]*)\|$/gm
    const rows = Array.from(page.matchAll(row), ([, id = '', state = '', see = '', tests = '']) => {
      return { id, state, see, tests: (tests.match(/[^`, ]+/g) ?? []).toSorted() }
    })
    expect(rows.map(({ id }) => id)).toEqual(page.match(/(?<=^\| )[A-Z]{2}\d+(?= )/gm))
    const named = new Map<string, string[]>()
    for (const path of files.filter((each) => /\.test\.(ts|mjs)$/.test(each)))
      for (const [ids] of read(path).matchAll(/(?<= \()[A-Z]{2}\d+(?:, [A-Z]{2}\d+)*(?=\)['"`])/g))
        for (const id of ids.split(', ')) named.set(id, [...new Set([...(named.get(id) ?? []), path])].toSorted())
    const listed = rows.flatMap(({ id, tests }) => (tests.length === 0 ? [] : [[id, tests] as const]))
    expect(Object.fromEntries(listed), 'run: make docs').toEqual(Object.fromEntries(named))
    expect(rows.filter(({ state, tests }) => (state === 'not there') !== (tests.length === 0))).toEqual([])
    const slug = (title: string): string =>
      title
        .toLowerCase()
        .replaceAll(/[^\w -]/g, '')
        .replaceAll(' ', '-')
    for (const { id, state, see } of rows) {
      if (state !== 'not there') expect(see, id).toMatch(/\]\(/)
      for (const [, path = '', anchor] of see.matchAll(/\]\(([^)#]+)(?:#([^)]+))?\)/g)) {
        const target = join('docs', path)
        expect(files, id).toContain(target)
        const titles = Array.from(read(target).matchAll(/^#+ (.+)$/gm), ([, title = '']) => slug(title))
        if (anchor !== undefined) expect(titles, `${id}: ${target}`).toContain(anchor.replace(/-\d$/, ''))
      }
    }
  })

  test('[TD10] every command of README.md and CONTRIBUTING.md exists', () => {
    const code = ['README.md', 'CONTRIBUTING.md']
      .flatMap((path) => read(path).match(/```[^]*?```|`[^`\n]+`/g) ?? [])
      .join('\n')
    const commands = (pattern: RegExp): Set<string> =>
      new Set(Array.from(code.matchAll(pattern), ([, name = '']) => name))
    const targets = found(['Makefile'], /^([a-z-]+):/gm)
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    const starts = files.flatMap((path) =>
      /^services\/\w+\/package\.json$/.test(path) ? [path.replace('/package.json', '')] : [],
    )
    expect(missing(commands(/\bmake ([a-z-]+)/g), targets)).toEqual([])
    expect(missing(commands(/\bnpm run (?:--silent )?([a-z:-]+)/g), new Set(Object.keys(scripts)))).toEqual([])
    expect(missing(commands(/\bnpm start -w (\S+?)`?$/gm), new Set(starts))).toEqual([])
    expect(commands(/\bmake ([a-z-]+)/g)).toContain('run')
  })
})
