import { after } from './backoff.ts'
import type { Client } from './client.ts'
import type { Shown } from './presence.ts'

/** A page that is hidden for less than this is not left: people look something up and come back, ms. */
export const hiddenMs = 10_000
/** Who does nothing for so long is away, though the page is seen, ms. */
export const idleMs = 300_000
/** While a page is used it says so again this often, for another page of the user may have said that it was left, ms. */
export const repeatMs = 20_000
/** What people do, looked at once in this time at the most, ms. */
const lookEveryMs = 1_000

/** The document of a page, as far as it is looked at. */
export type Page = Pick<Document, 'visibilityState' | 'addEventListener' | 'removeEventListener'>
export interface AttentionOptions {
  /** Default {@link idleMs}; Infinity: only the page is looked at. */
  readonly idleMs?: number
  /** Default {@link hiddenMs}. */
  readonly hiddenMs?: number
  /** Default {@link repeatMs}. */
  readonly repeatMs?: number
  /** Default: the document. */
  readonly page?: Page
}

/** Whether this user looks. */
export interface Attention {
  /**
   * What is shown from now on: `data` beside the status, and a `status` that was chosen and stays, whatever the page does. Without one it is
   * `online` and `away` by itself again. Resolves at the server's answer.
   * @example attention.show({ data: { page: location.pathname } })
   */
  show(shown: Partial<Shown>): Promise<void>
  /** Looks at the page no more; what was shown last stays. */
  close(): void
}

const deeds = ['pointermove', 'pointerdown', 'keydown', 'wheel', 'touchstart', 'scroll'] as const
const passive = { passive: true, capture: true } as const

/**
 * Shows this user as `online` while the page is seen and used, and as `away` when it is hidden or nothing was done on it for a while. Of several pages
 * of a user the newest word counts, so one that is used repeats its own.
 * @example const attention = attentionOf(client)
 */
export function attentionOf(client: Client, options: AttentionOptions = {}): Attention {
  const { page = document, idleMs: idle = idleMs, hiddenMs: hidden = hiddenMs, repeatMs: repeat = repeatMs } = options
  let chosen: Partial<Shown> = {}
  let status: 'online' | 'away' | undefined
  let usedAtMs = Date.now()
  let saidAtMs = 0
  let stopWaiting = (): void => {}

  const say = (): Promise<void> => {
    saidAtMs = Date.now()
    return client.setPresence({ ...chosen, status: chosen.status ?? status ?? 'online' })
  }
  // A refusal is of a room or a rate: it is said again with what comes next.
  const tell = (): void => void say().catch(() => undefined)
  const turn = (now: 'online' | 'away'): void => {
    if (status === now) return
    status = now
    if (chosen.status === undefined) tell()
  }
  const wait = (): void => {
    stopWaiting()
    const isHidden = page.visibilityState === 'hidden'
    const leftMs = (isHidden ? hidden : idle) - (Date.now() - usedAtMs)
    if (leftMs <= 0) return turn('away')
    // Timers take no Infinity.
    if (leftMs < 2 ** 31) stopWaiting = after(leftMs, wait)
  }
  const used = (): void => {
    const now = Date.now()
    if (page.visibilityState === 'hidden' || (status === 'online' && now - usedAtMs < Math.min(lookEveryMs, repeat)))
      return
    usedAtMs = now
    turn('online')
    if (now - saidAtMs >= repeat) tell()
    wait()
  }
  const looked = (): void => {
    usedAtMs = Date.now()
    if (page.visibilityState !== 'hidden') turn('online')
    wait()
  }

  page.addEventListener('visibilitychange', looked)
  for (const deed of deeds) page.addEventListener(deed, used, passive)
  const close = (): void => {
    stopWaiting()
    page.removeEventListener('visibilitychange', looked)
    for (const deed of deeds) page.removeEventListener(deed, used, passive)
    off()
  }
  const off = client.onState((state) => {
    if (state === 'closed') close()
  })
  looked()
  return {
    show: (shown) => {
      chosen = shown
      return say()
    },
    close,
  }
}
