import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'
import { expect } from 'vitest'
import { atEnd } from './setting.ts'

/** Installing a browser takes a minute where there is none. */
export const browserSetUpMs = 240_000
const flags = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update']

/** Debian's Chromium, installed where it is not there and may be. */
export async function launchBrowser(): Promise<Browser> {
  const { stdout } = await promisify(execFile)('scripts/ensure.sh', ['chromium'])
  return chromium.launch({ executablePath: stdout.trim(), args: [...flags, '--disable-sync', '--no-first-run'] })
}

/** A page of its own; whatever the browser complains about (an error, a refusal of the policy) fails the test. */
export async function openPage(browser: Browser, address: string): Promise<Page> {
  const page = await browser.newPage()
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    // Of a server that is away the browser says so; the page copes.
    const away = /ERR_(CONNECTION|EMPTY)_/.test(message.text())
    if (message.type() === 'error' && !away) complaints.push(message.text())
  })
  atEnd(async () => {
    await page.close()
    expect(complaints).toEqual([])
  })
  await page.goto(address)
  return page
}
