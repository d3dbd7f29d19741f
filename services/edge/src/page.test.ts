import { createHash } from 'node:crypto'
import { Script } from 'node:vm'
import { expect, test } from 'vitest'
import { pageHtml, pagePolicy } from './page.ts'

const scripts = [...pageHtml.matchAll(/<script>([^]*?)<\/script>/g)].map(([, text]) => text ?? '')

test('[PG10] the page is one document: nothing is loaded from anywhere', () => {
  expect(pageHtml).not.toMatch(/<(?:img|iframe|object|embed|base)\b/i)
  expect([...pageHtml.matchAll(/\b(?:src|href|action)="([^"]*)"/g)].map(([, target]) => target?.slice(0, 5))).toEqual([
    'data:',
  ])
  expect(pageHtml).not.toMatch(/@import|url\(/)
})

test('[PG11] its policy admits its one script, which is a whole one, and no other', () => {
  expect(scripts).toHaveLength(1)
  const [script = ''] = scripts
  expect(() => new Script(script)).not.toThrow()
  const hash = createHash('sha256').update(script).digest('base64')
  expect(pagePolicy.split('; ')).toEqual([
    "default-src 'none'",
    "style-src 'unsafe-inline'",
    `script-src 'sha256-${hash}'`,
    "connect-src 'self' ws: wss:",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ])
  expect(pageHtml).not.toMatch(/\son\w+="|javascript:/i)
})

test('[PG12] the script writes text, never markup, and runs no text', () => {
  expect(scripts[0]).toContain('.textContent = ')
  expect(scripts[0]).not.toMatch(/innerHTML|outerHTML|insertAdjacentHTML|document\.write|srcdoc|\beval\b|Function\(/)
})
