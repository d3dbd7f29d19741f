import express from 'express'
import type { Express } from 'express'
import { notFound, problem, problemErrors } from '@flotilla/node/http'
import type { Log } from '@flotilla/node/log'
import type { FleetView } from './view.ts'

const retryMs = 1_000

/** Control's HTTP surface: it only shows. It listens on the loopback address unless configured otherwise. */
export function createApp(view: () => FleetView, log: Log): Express {
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
  app.use(notFound)
  app.use(problemErrors(log))
  return app
}
