// Bundles an entry as a browser would get it, `client` when none is named, and says how large it is. With --bundle it prints the bundle itself.
import { build } from 'esbuild'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const entry = process.argv.slice(2).find((each) => !each.startsWith('--')) ?? 'client'
const result = await build({
  entryPoints: [fileURLToPath(new URL(`src/${entry}.ts`, import.meta.url))],
  bundle: true,
  minify: true,
  write: false,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  conditions: ['source'],
})
const [file] = result.outputFiles
if (process.argv.includes('--bundle')) process.stdout.write(file.text)
else console.log(`${file.contents.length} bytes minified, ${gzipSync(file.contents, { level: 9 }).length} bytes gzip`)
