#!/usr/bin/env node
// Makes a key for ingest and prints its entry of the keyring: npm run key -- --name crm --scopes publish:deal,tenant:acme
import { createHash, randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'

const usage = `Makes a key for the ingest API. The key goes to who posts, the entry into the file of FLOTILLA_INGEST_KEYRING, below "keys:".

  npm run --silent key -- --name crm --scopes publish:deal,history:deal,tenant:acme [--days 365] [--rate 100] [--burst 200] [--sign]

  --name    who posts; keys of one name replace each other (required)
  --scopes  what it may do, separated by commas: publish, history, publish:<type>, publish:<room>, tenant:<id> (required)
  --days    expires after so many days; never by default
  --rate    events per second; no limit by default
  --burst   events at once; the rate of two seconds by default
  --sign    makes a signing secret too: then bodies must be signed

The entry goes to standard output, the key and the signing secret to standard error: neither can be shown again.
`
/** Bytes of a key: too many to be guessed, so a plain hash keeps it (docs/ingest.md). */
const keyBytes = 32
const dayMs = 86_400_000

function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(2)
}

function readOptions() {
  const text = { type: 'string' }
  const flag = { type: 'boolean' }
  const options = { name: text, scopes: text, days: text, rate: text, burst: text, sign: flag, help: flag }
  try {
    return parseArgs({ options }).values
  } catch (error) {
    return fail(`${error.message}\n\n${usage}`)
  }
}

async function loadParser() {
  try {
    const { parseKeyring } = await import('../services/ingest/dist/keyring.js')
    return parseKeyring
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
    return fail('The packages are not built yet. run: make build')
  }
}

const { name, scopes, days, rate, burst, sign, help } = readOptions()
if (help) {
  process.stdout.write(usage)
  process.exit(0)
}
if (!name || !scopes) fail(`--name and --scopes are required.\n\n${usage}`)
for (const [option, value] of Object.entries({ days, rate, burst })) {
  if (value !== undefined && !/^[1-9]\d{0,6}$/.test(value)) fail(`--${option} is a whole number, 1 or more.`)
}

const id = randomBytes(6).toString('hex')
const key = `flk_${randomBytes(keyBytes).toString('base64url')}`
const signingSecret = `fls_${randomBytes(keyBytes).toString('base64url')}`
const list = scopes.split(',').map((scope) => JSON.stringify(scope.trim()))
const lines = [
  `- id: ${JSON.stringify(id)}`,
  `  name: ${JSON.stringify(name)}`,
  `  hash: sha256:${createHash('sha256').update(key).digest('hex')}`,
  `  scopes: [${list.join(', ')}]`,
  ...(days === undefined ? [] : [`  expiresAt: ${new Date(Date.now() + Number(days) * dayMs).toISOString()}`]),
  ...(rate === undefined ? [] : [`  rate: { perSecond: ${rate}, burst: ${burst ?? 2 * Number(rate)} }`]),
  ...(sign ? [`  signingSecret: ${signingSecret}`] : []),
]
const entry = `${lines.map((line) => `  ${line}`).join('\n')}\n`
const parseKeyring = await loadParser()
try {
  parseKeyring(`keys:\n${entry}`)
} catch (error) {
  fail(`That would be no entry: ${error.message}`)
}
process.stderr.write(`key: ${key}\n${sign ? `signing secret: ${signingSecret}\n` : ''}`)
process.stdout.write(entry)
