#!/usr/bin/env node
// Prints a token for trying things out: npm run token -- --sub alice --tenant acme
import { parseArgs } from 'node:util'

const usage = `Prints a signed token (HS256) for development.

  npm run --silent token -- --sub alice --tenant acme [--roles a,b] [--permissions x,y] [--ttl 3600]

  --sub          user id (required)
  --tenant       tenant id (required)
  --roles        roles, separated by commas
  --permissions  permissions, separated by commas
  --ttl          lifetime in seconds; default 3600

  npm run --silent token -- --sub alice --room project:acme:7 [--ttl 3600]

  --room         a token for these rooms, separated by commas (docs/hooks.md)

FLOTILLA_JWT_SECRET is the secret; without it the public development secret is used.
`

function fail(message) {
  process.stderr.write(`${message}\n`)
  process.exit(2)
}

function readOptions() {
  const text = { type: 'string' }
  const options = {
    sub: text,
    tenant: text,
    roles: text,
    permissions: text,
    ttl: text,
    room: text,
    help: { type: 'boolean' },
  }
  try {
    return parseArgs({ options }).values
  } catch (error) {
    return fail(`${error.message}\n\n${usage}`)
  }
}

async function loadSigner() {
  try {
    return await import('../packages/node/dist/jwt.js')
  } catch (error) {
    if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
    return fail('The packages are not built yet. run: make build')
  }
}

const items = (list) =>
  (list ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

const { sub, tenant, roles, permissions, ttl = '3600', room, help } = readOptions()
if (help) {
  process.stdout.write(usage)
  process.exit(0)
}
if (!sub || (!tenant && !room)) fail(`--sub, and --tenant or --room, are required.\n\n${usage}`)
if (!/^[1-9]\d{0,8}$/.test(ttl)) fail('--ttl is a number of seconds, 1 or more.')

const { DEVELOPMENT_SECRET, signRoomToken, signToken } = await loadSigner()
const secret = process.env.FLOTILLA_JWT_SECRET || DEVELOPMENT_SECRET
if (secret === DEVELOPMENT_SECRET) {
  process.stderr.write(
    'note: signed with the development secret, which is public; set FLOTILLA_JWT_SECRET for another\n',
  )
}
const ttlSeconds = Number(ttl)
const token = room
  ? signRoomToken({ secret, sub, rooms: items(room), ttlSeconds })
  : signToken({ secret, sub, tenant, roles: items(roles), permissions: items(permissions), ttlSeconds })
process.stdout.write(`${token}\n`)
