import express from 'express'
import type { Express } from 'express'
import { notFound, problem, problemErrors } from '@flotilla/node/http'
import type { Log } from '@flotilla/node/log'
import type { FleetHealth } from './health.ts'
import type { FleetView } from './view.ts'

const retryMs = 1_000

interface ApiDeps {
  readonly log: Log
  view(): FleetView
  health(): FleetHealth
  /** This process decides what happens. */
  leading(): boolean
  drain(boot: string): void
}

/** Control's HTTP surface. It listens on the loopback address unless configured otherwise. */
export function createApp({ view, health, log, leading, drain }: ApiDeps): Express {
  const app = express()
  app.disable('x-powered-by')
  app.get('/v1/fleet', (_req, res) => {
    const fleet = view()
    if (fleet.observedMsAgo === null) {
      const detail = 'The fleet was not read from the store yet.'
      problem(res, { status: 503, code: 'OVERLOADED', detail, retryAfterMs: retryMs })
      return
    }
    res.setHeader('Cache-Control', 'no-store')
    res.json(fleet)
  })
  app.get('/v1/health', (_req, res) => {
    const found = health()
    res.setHeader('Cache-Control', 'no-store')
    // So that whoever only looks at the status sees it too.
    res.status(found.status === 'degraded' ? 503 : 200).json(found)
  })
  app.post('/v1/members/:name/drain', (req, res) => {
    const { leader, members } = view()
    const { name } = req.params
    const found = members.filter(({ id, boot }) => id === name || boot === name)
    const drained = found.filter(({ role }) => role === 'edge' || role === 'shard')
    // A page in somebody's browser can send a POST anywhere it reaches, but not without saying where it came from.
    if (req.headers.origin !== undefined)
      return problem(res, { status: 403, code: 'FORBIDDEN', detail: 'Not from a web page.' })
    if (!leading()) {
      const detail = `Ask the control process that leads: ${leader ?? 'nobody does now'}.`
      return problem(res, { status: 503, code: 'OVERLOADED', detail, retryAfterMs: retryMs })
    }
    if (found.length === 0) return problem(res, { status: 404, code: 'NOT_FOUND', detail: 'No such member.' })
    if (drained.length === 0)
      return problem(res, { status: 400, code: 'VALIDATION_ERROR', detail: 'Only edges and workers are drained.' })
    for (const { boot } of drained) drain(boot)
    res.status(202).json({ draining: drained.map(({ boot }) => boot) })
  })
  app.use(notFound)
  app.use(problemErrors(log))
  return app
}
