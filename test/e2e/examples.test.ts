import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePort } from '@flotilla/node/testing/free-port'
import { spawnNode } from '../fleet/process.ts'
import { until } from '../fleet/until.ts'
import { freePorts, startAllInOne } from './all-in-one.ts'
import type { AllInOne } from './all-in-one.ts'
import { browserSetUpMs, launchBrowser, openPage } from './browser.ts'

const folder = join(import.meta.dirname, '../../examples')
const maxLines = 150

let browser: Browser
let fleet: AllInOne
let served: { readonly base: string; stop(): void }

beforeAll(async () => {
  ;[browser, fleet] = await Promise.all([launchBrowser(), freePorts().then(startAllInOne)])
  served = await serve(fleet.edgePort)
}, browserSetUpMs)

afterAll(async () => {
  await browser?.close()
  served?.stop()
  await fleet?.stop()
})

/** `examples/serve.mjs` beside the fleet. */
async function serve(edgePort: number): Promise<typeof served> {
  const port = String(await freePort())
  const child = spawnNode(['examples/serve.mjs'], { FLOTILLA_EDGE_PORT: String(edgePort), EXAMPLES_PORT: port })
  let printed = ''
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (printed += text))
  await until('it says where the pages are', () => {
    if (child.exitCode !== null) throw new Error(`it ended: ${printed}`)
    return printed.includes('/agent\n')
  })
  return { base: `http://localhost:${port}`, stop: () => void child.kill('SIGTERM') }
}

const open = (path: string): Promise<Page> => openPage(browser, `${served.base}/${path}`)

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message').fill(text)
  await page.getByRole('button', { name: 'Send' }).click()
}
const said = (page: Page): Promise<string[]> => page.locator('#said li.said:not(.waits) .text').allInnerTexts()

test('[EX1] chat: what is said stands in one order everywhere, also for who comes later, and who is there or types is told (EV4, EV5, CL5)', async () => {
  const [ada, grace] = [await open('chat?name=Ada'), await open('chat?name=Grace')]
  for (const page of [ada, grace]) await page.locator('#text:enabled').waitFor()
  await grace.getByLabel('Message').pressSequentially('hel')
  await ada.locator('#typing', { hasText: 'Grace is typing' }).waitFor()
  await say(grace, 'hello <b>Ada</b>')
  await ada.locator('#said', { hasText: 'hello' }).waitFor()
  expect(await ada.locator('#typing').innerText()).toBe('')
  for (const [i, page] of [ada, grace, ada, grace].entries()) await say(page, `line ${i}`)
  const lines = (page: Page): Promise<string[] | false> =>
    until('all is said', async () => {
      const texts = (await said(page)).map((text) => text.split('\n').at(-1) ?? '')
      return texts.length === 5 && texts
    })
  const order = await lines(ada)
  expect(order).toContain('hello <b>Ada</b>')
  expect(await lines(grace)).toEqual(order)
  const late = await open('chat?name=Ken')
  expect(await lines(late)).toEqual(order)
  for (const page of [ada, grace, late])
    await until('all three are here', async () => /Ada.*Grace.*Ken/s.test(await page.locator('#people').innerText()))
})

test('[EX2] cursors: a pointer moves in the other window, where its user stands; a pin stays for who comes later (EV4)', async () => {
  const [ada, grace] = [await open('cursors?name=Ada'), await open('cursors?name=Grace')]
  for (const page of [ada, grace]) {
    await page.setViewportSize({ width: 1_000, height: 500 })
    await page.locator('#people li').first().waitFor()
  }
  await ada.mouse.move(100, 100)
  await ada.mouse.move(400, 250, { steps: 5 })
  const cursor = grace.locator('.cursor', { hasText: 'Ada' })
  await until('the cursor is there', async () => {
    const shown = await cursor.evaluateAll((items) => items.map((item) => (item as HTMLElement).style.transform))
    return shown[0] === 'translate(400px, 250px)'
  })
  expect(await ada.locator('.cursor').count()).toBe(0)
  await ada.mouse.click(400, 250)
  for (const page of [ada, grace]) await page.locator('.pin[title=Ada]').waitFor({ state: 'attached' })
  const late = await open('cursors?name=Ken')
  await late.locator('.pin[title=Ada]').waitFor({ state: 'attached' })
  await ada.goto('about:blank')
  await cursor.waitFor({ state: 'detached' })
})

test('[EX3] dashboard: figures of what was ordered before and of what is ordered now (CL5)', async () => {
  const first = await open('dashboard')
  await first.locator('#state', { hasText: 'connected' }).waitFor()
  await first.getByRole('button', { name: 'Simulate a shop' }).click()
  const ordered = async (page: Page): Promise<number> => Number(await page.locator('#orders').innerText())
  await until('some orders', async () => (await ordered(first)) >= 10)
  const second = await open('dashboard')
  await until('all of them and more', async () => (await ordered(second)) >= 15)
  await first.getByRole('button', { name: 'Simulate a shop' }).click()
  await until('both agree', async () => {
    const [one, other] = [await first.locator('main').innerText(), await second.locator('main').innerText()]
    const figures = (text: string): string => text.slice(text.indexOf('Revenue'), text.indexOf('Average'))
    // The list has an order at once, the sums within 0.25 s: orders that were under way are in both when they agree.
    const newest = await first.locator('#newest tr').first().innerText()
    const isCounted = newest.startsWith(`#${await ordered(first)}\t`)
    return isCounted && (await ordered(first)) === (await ordered(second)) && figures(one) === figures(other)
  })
  expect(await second.locator('#newest tr').count()).toBe(8)
  expect(await second.locator('#regions dt').count()).toBeGreaterThan(0)
})

test('[EX4] agent: words as they are said, steps when they are done, and a whole run for who comes later', async () => {
  const viewer = await open('agent')
  await viewer.getByText('Nothing has been done yet').waitFor()
  const env = { FLOTILLA_EDGE_PORT: String(fleet.edgePort), AGENT_WORDS_PER_SECOND: '30' }
  const agent = spawnNode(['examples/agent.mjs', 'What is to be done?'], env)
  await viewer.locator('li.live .text', { hasText: /\w+ \w+/ }).waitFor()
  await viewer.locator('article.done', { hasText: 'What is to be done?' }).waitFor()
  await until('the agent has ended', () => agent.exitCode === 0)
  const steps = await viewer.locator('article ol').innerText()
  expect(await viewer.locator('article li').count()).toBe(6)
  expect(await viewer.locator('li.live').count()).toBe(0)
  const late = await open('agent')
  await late.locator('article.done').waitFor()
  expect(await late.locator('article ol').innerText()).toBe(steps)
})

test('[EX5] none has more than 150 lines, and README.md has each', () => {
  const readme = readFileSync(join(folder, 'README.md'), 'utf8')
  const files = readdirSync(folder).filter((file) => file !== 'README.md')
  expect(files.length).toBeGreaterThanOrEqual(5)
  for (const file of files) {
    expect(readFileSync(join(folder, file), 'utf8').split('\n').length - 1, file).toBeLessThanOrEqual(maxLines)
    expect(readme).toContain(`](${file})`)
  }
})
