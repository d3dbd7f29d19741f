import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePorts, startAllInOne } from './all-in-one.ts'
import type { AllInOne } from './all-in-one.ts'
import { browserSetUpMs, launchBrowser, openPage } from './browser.ts'
import { atEnd } from './setting.ts'
import { until } from '../fleet/until.ts'

const lobby = 'public:lobby'

let browser: Browser
let fleet: AllInOne

beforeAll(async () => {
  ;[browser, fleet] = await Promise.all([launchBrowser(), freePorts().then(startAllInOne)])
}, browserSetUpMs)

afterAll(async () => {
  await browser?.close()
  await fleet?.stop()
})

const open = (address: string): Promise<Page> => openPage(browser, address)

async function openJoined(): Promise<Page> {
  const page = await open(fleet.address)
  await badge(page, lobby, 'live')
  return page
}

/** Waits until the room's badge says so. */
async function badge(page: Page, room: string, text: string): Promise<void> {
  await page.locator(`#rooms li[data-room="${room}"] .tag`, { hasText: text }).waitFor()
}

interface Row {
  readonly seq: number
  readonly event: string
  readonly data: string
  readonly replayed: boolean
}
function rows(page: Page, room: string): Promise<Row[]> {
  return page.locator(`#events li.row[data-room="${room}"]`).evaluateAll((items) =>
    items.map((item) => ({
      seq: Number(item.querySelector('.seq')?.textContent),
      event: item.querySelector('.event')?.firstChild?.textContent ?? '',
      data: item.querySelector('.data')?.textContent ?? '',
      replayed: item.classList.contains('replayed'),
    })),
  )
}
async function rowsOnce(page: Page, room: string, count: number): Promise<Row[]> {
  return until(`${count} events of ${room}`, async () => {
    const found = await rows(page, room)
    return found.length >= count && found
  })
}

async function publish(page: Page, room: string, event: string, data: string): Promise<void> {
  await page.getByLabel('Room', { exact: true }).fill(room)
  await page.getByLabel('Event name').fill(event)
  await page.getByLabel('Data, JSON or plain text').fill(data)
  await page.getByRole('button', { name: 'Publish', exact: true }).click()
}

async function join(page: Page, room: string): Promise<void> {
  await page.getByLabel('Room to join').fill(room)
  await page.getByRole('button', { name: 'Join' }).click()
  await badge(page, room, 'live')
}

const text = (page: Page, selector: string): Promise<string> => page.locator(selector).innerText()

test('[PG1] the page joins a room, publishes and shows the event with its seq', async () => {
  const page = await openJoined()
  expect(await text(page, '#state')).toBe('connected')
  expect(await text(page, '#user')).toBe('you')
  expect(await text(page, '#connection')).toMatch(/^edge-1\.\w+\.\w+$/)
  await join(page, 'public:pg1')
  await publish(page, 'public:pg1', 'message', 'hello')
  await publish(page, 'public:pg1', 'deal', '{"stage":"won"}')
  expect(await rowsOnce(page, 'public:pg1', 2)).toEqual([
    { seq: 1, event: 'message', data: 'hello', replayed: false },
    { seq: 2, event: 'deal', data: '{"stage":"won"}', replayed: false },
  ])
  await page.locator('#rooms li[data-room="public:pg1"] .place', { hasText: 'seq 2' }).waitFor()
  await until('both latencies are measured', async () => {
    const shown = [await text(page, '#trip'), await text(page, '#ack')]
    return shown.every((line) => /(\s\d+(\.\d+)?){3}$/.test(line))
  })
})

test('[PG2] after a dropped connection it resumes and shows what it missed once', async () => {
  const page = await openJoined()
  await join(page, 'public:pg2')
  await publish(page, 'public:pg2', 'before', '1')
  await rowsOnce(page, 'public:pg2', 1)
  const before = await text(page, '#connection')
  await page.getByRole('button', { name: 'Drop connection' }).click()
  await page.locator('#state[data-state=away]').waitFor()
  await badge(page, 'public:pg2', 'recovered, 3 missed')
  await badge(page, lobby, 'recovered, 0 missed')
  expect(await text(page, '#connection')).not.toBe(before)
  await publish(page, 'public:pg2', 'after', '2')
  const seen = await rowsOnce(page, 'public:pg2', 5)
  expect(seen.map(({ seq, event, replayed }) => [seq, event, replayed])).toEqual([
    [1, 'before', false],
    [2, 'meanwhile', true],
    [3, 'meanwhile', true],
    [4, 'meanwhile', true],
    [5, 'after', false],
  ])
})

test('[PG3] fifty publishes at once are numbered without a hole, and each is measured', async () => {
  const page = await openJoined()
  await join(page, 'public:pg3')
  await page.getByRole('button', { name: 'public:pg3', exact: true }).click()
  await page.getByRole('button', { name: 'Send 50' }).click()
  const seen = await rowsOnce(page, 'public:pg3', 50)
  expect(seen.map(({ seq, data }) => [seq, data])).toEqual(
    Array.from({ length: 50 }, (_, index) => [index + 1, `{"n":${index + 1},"of":50}`]),
  )
  await page.locator('#samples', { hasText: '50 publishes' }).waitFor()
  expect(await page.locator('#spark polyline').count()).toBe(1)
})

test('[PG4] markup in what others publish is shown as text', async () => {
  const page = await openJoined()
  await join(page, 'public:pg4')
  const markup = '<img src=x onerror="document.title=1"><b>bold</b>'
  await publish(page, 'public:pg4', markup, markup)
  expect(await rowsOnce(page, 'public:pg4', 1)).toMatchObject([{ event: markup, data: markup }])
  expect(await page.locator('#events img, #events b').count()).toBe(0)
  expect(await page.title()).toBe('Flotilla')
})

test('[PG5] without a token it asks for one; a token in the query moves behind #', async () => {
  const [base = '', token = ''] = fleet.address.split('#token=')
  const page = await open(base)
  await page.getByLabel('Token').fill(token)
  await page.getByRole('button', { name: 'Connect' }).click()
  await badge(page, lobby, 'live')
  const second = await open(`${base}?token=${token}`)
  await badge(second, lobby, 'live')
  expect(second.url()).toBe(fleet.address)
})

test('[PG6] a token that is refused is said so, and another one can be given', async () => {
  const [base = '', token = ''] = fleet.address.split('#token=')
  const page = await open(`${base}#token=nonsense`)
  await page.locator('#notice', { hasText: '4401' }).waitFor()
  await page.getByLabel('Token').fill(token)
  await page.getByRole('button', { name: 'Connect' }).click()
  await badge(page, lobby, 'live')
  expect(await page.locator('#notice').isVisible()).toBe(false)
})

test('[PG7] the printed curl makes its event appear, and who is connected is shown (CL5)', async () => {
  const page = await openJoined()
  const seen = (await rows(page, lobby)).length
  await promisify(execFile)('bash', ['-c', fleet.curl])
  const shown = await rowsOnce(page, lobby, seen + 1)
  expect(shown.at(-1)).toMatchObject({ event: 'message', data: '{"text":"hello from curl"}' })
  await page.locator('#people li', { hasText: 'you' }).waitFor()
  await until('all four parts of the fleet are shown', async () => {
    const roles = await page.locator('#members li > :first-child').allInnerTexts()
    return roles.toSorted().join() === 'control,edge,ingest,shard'
  })
})

test('[PG8] an ephemeral event is shown as one, without a seq', async () => {
  const page = await openJoined()
  await join(page, 'public:pg8')
  await page.getByLabel('Ephemeral').check()
  await publish(page, 'public:pg8', 'typing', '{"on":true}')
  await page.locator('#events li.ephemeral[data-room="public:pg8"]').waitFor()
  expect(await text(page, '#events li.ephemeral .tag')).toBe('ephemeral')
  expect(await text(page, '#events li.ephemeral .seq')).toBe('–')
  expect(await text(page, '#rooms li[data-room="public:pg8"] .place')).toContain('seq 0')
})

test('[PG9] nothing is wider than a screen of 380 pixels', async () => {
  const page = await openJoined()
  await page.setViewportSize({ width: 380, height: 800 })
  await publish(page, lobby, 'message', `"${'long'.repeat(200)}"`)
  await rowsOnce(page, lobby, 1)
  const width = await page.evaluate(() => document.documentElement.scrollWidth)
  expect(width).toBe(380)
})

test('[PG13] after the fleet lost a room the page says so, and goes on from the new position', async () => {
  const ports = await freePorts()
  const first = await startAllInOne(ports)
  atEnd(() => first.stop())
  const page = await open(first.address)
  await badge(page, lobby, 'live')
  for (const data of ['1', '2', '3']) await publish(page, lobby, 'before', data)
  await rowsOnce(page, lobby, 3)
  await first.stop()
  await page.locator('#state[data-state=waiting]').waitFor()
  await publish(page, lobby, 'meanwhile', '4')
  expect(await text(page, '#waiting')).toBe('1 waiting for ok')
  const second = await startAllInOne(ports)
  atEnd(() => second.stop())
  await badge(page, lobby, 'not recovered: ')
  const seen = await rowsOnce(page, lobby, 4)
  expect(seen.map(({ seq, data }) => [seq, data])).toEqual([
    [1, '1'],
    [2, '2'],
    [3, '3'],
    [1, '4'],
  ])
  // The rooms that the server joined lost their continuity as well, though nothing was in them.
  const told = page.locator('#events li.mark', { hasText: 'not recovered' })
  expect(await told.filter({ hasText: lobby }).count()).toBe(1)
})
