import { createHash } from 'node:crypto'
import { pageCss } from './page-css.ts'
import { renderPage } from './page-html.ts'
import { linkScript } from './page-script-link.ts'
import { viewScript } from './page-script-view.ts'

const script = linkScript + viewScript

/** The page that the edge serves at `/` to try the fleet: one document, nothing loaded from anywhere. */
export const pageHtml = renderPage(pageCss, script)

/** Its Content-Security-Policy: this one script and nothing that was smuggled in beside it. */
export const pagePolicy = [
  "default-src 'none'",
  "style-src 'unsafe-inline'",
  `script-src 'sha256-${createHash('sha256').update(script).digest('base64')}'`,
  "connect-src 'self' ws: wss:",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')
