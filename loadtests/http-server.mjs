/**
 * What a post costs before a fleet is behind it: the same request and answer through a bare server, a bare framework, and
 * ingest over an endpoint that says "committed" a moment later. Started by the benchmark, asked over IPC.
 */
import { createServer } from 'node:http'
import { setTimeout as later } from 'node:timers/promises'
import express from 'express'
import { createApp } from '@flotilla/ingest/app'
import { parseKeys } from '@flotilla/ingest/keys'
import { ingestMetrics } from '@flotilla/ingest/metrics'
import { fixedPolicy } from '@flotilla/node/policy'
import { createLog } from '@flotilla/node/log'
import { createMetrics } from '@flotilla/node/metrics'
import { answerCalls } from './harness/processes.mjs'

/** Outcomes come together, as those of a commit do, ms. */
const commitEveryMs = 2
const text = `{"id":"${'x'.repeat(36)}","results":[{"room":"public:bench-100","position":{"epoch":"1.1","seq":1234}}]}`

/** Calls back at the next commit. */
function commits() {
  let waiting = []
  const commit = async () => {
    await later(commitEveryMs)
    const settled = waiting
    waiting = []
    for (const each of settled) each()
  }
  return (settled) => {
    if (waiting.push(settled) === 1) void commit()
  }
}

function bare(atCommit) {
  return (req, res) => {
    req.on('data', () => {})
    req.on('end', () => atCommit(() => res.writeHead(202, { 'Content-Length': text.length }).end(text)))
  }
}

function framework(atCommit) {
  const app = express()
  const body = express.raw({ type: () => true })
  app.post('/v1/events', body, (_req, res) => {
    atCommit(() => res.status(202).setHeader('Content-Length', text.length).end(text))
  })
  return app
}

function ingest(atCommit, key) {
  let seq = 0
  return createApp({
    policy: fixedPolicy(),
    endpoint: {
      publish: (_message, settled) => atCommit(() => settled({ type: 'committed', epoch: '1.1', seq: (seq += 1) })),
    },
    keys: parseKeys(`bench:${key}`),
    log: createLog({ service: 'bench', level: 'warn' }),
    metrics: ingestMetrics(createMetrics({ service: 'bench' })),
    maxInFlight: 20_000,
    version: '0',
  })
}

const forms = { bare, framework, ingest }
answerCalls({
  listen: async ({ form, key }) => {
    const server = createServer(forms[form](commits(), key))
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    return { port: server.address().port }
  },
})
