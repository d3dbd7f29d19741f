import type { LossReason } from '@flotilla/core/frames'
import { historyEvents, historyMs } from '@flotilla/core/limits'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeHistory, encodeHistory } from '../history.ts'
import type { Line } from '../history.ts'
import { check } from './check.ts'
import type { CheckOptions } from './check.ts'

const epoch = '5.1'
const room = 'r'
const options = { mayLose: false, healWithinMs: 5_000 }

/** Two clients, three messages, one of them after a fault; nothing is wrong with it. */
function clean(): Line[] {
  const seen = (client: string): Line[] => [
    { type: 'position', t: 0, client, room, epoch: '5.0.9', seq: 0, recovered: true },
    { type: 'position', t: 2, client, room, epoch, seq: 0, recovered: true },
    ...['a', 'b', 'c'].map((id, i): Line => ({ type: 'deliver', t: 3 + i, client, room, epoch, seq: i + 1, id })),
  ]
  return [
    { type: 'connect', t: 0, client: 'x' },
    ...['a', 'b'].flatMap((id, i): Line[] => [
      { type: 'invoke', t: 1 + i * 10, by: 'x', room, id },
      { type: 'ok', t: 5 + i * 10, room, id, epoch, seq: i + 1 },
    ]),
    { type: 'fault', t: 20, phase: 'inject' },
    { type: 'fault', t: 30, phase: 'lifted' },
    { type: 'invoke', t: 31, by: 'x', room, id: 'c' },
    { type: 'unknown', t: 32, room, id: 'c', code: 'UNKNOWN' },
    { type: 'ok', t: 40, room, id: 'c', epoch, seq: 3 },
    { type: 'invoke', t: 41, by: 'x', room, id: 'no' },
    { type: 'refused', t: 42, room, id: 'no', code: 'OVERLOADED' },
    ...seen('x'),
    ...seen('y'),
    ...['a', 'b', 'c'].map((id, i): Line => ({ type: 'logged', t: 99, room, epoch, seq: i + 1, id })),
  ]
}

const found = (lines: readonly Line[], more: Partial<CheckOptions> = {}): string[] => [
  ...new Set(check(lines, { ...options, ...more }).violations.map((each) => each.check)),
]
type Change = (line: Line) => Line | Line[] | undefined
const changed = (change: Change, from = clean()): Line[] => from.flatMap((line) => change(line) ?? [])
const drop = (which: (line: Line) => boolean): Line[] => clean().filter((line) => !which(line))
const isSeen = (line: Line, client: string, id: string): boolean =>
  line.type === 'deliver' && line.client === client && line.id === id
const behind = (t: number): Line => ({ type: 'fault', t, phase: 'behind' })
const isLogged = (line: Line, id: string): boolean => line.type === 'logged' && line.id === id

test('[FA1] a history is read as it was written, and nothing else is one', () => {
  expect(decodeHistory(encodeHistory(clean()))).toEqual(clean())
  expect(() => decodeHistory('{"type":"ok"}\n')).toThrow('line 1 is not of a history')
})

describe('the checks', () => {
  test('[FA2] they find nothing in a whole history, and count what it has', () => {
    expect(check(clean(), options)).toEqual({
      ...{
        violations: [],
        acknowledged: 3,
        repeated: 0,
        delivered: 6,
        unknown: 1,
        refused: 1,
        told: 0,
        lostAndTold: 0,
        healMs: 10,
      },
    })
  })

  const loss = (client: string, reason: LossReason | null = 'epoch') => ({
    ...({ type: 'position', t: 50, client, room, epoch: '9.9', seq: 2, recovered: false } as const),
    ...(reason === null ? {} : { reason }),
  })
  /** The store lost `c`; x and y were told before they saw it. */
  const toldOf = (clients: readonly string[]): Line[] => [
    ...drop((line) => isSeen(line, 'x', 'c') || isSeen(line, 'y', 'c') || isLogged(line, 'c')),
    ...clients.map((client) => loss(client)),
  ]

  test('[FA2] a loss that all were told of is none where the store may lose, and is counted', () => {
    expect(check([...toldOf(['x', 'y']), behind(40)], { ...options, mayLose: true })).toMatchObject({
      ...{ violations: [], told: 2, lostAndTold: 1 },
    })
    expect(found(toldOf(['x', 'y']))).toEqual(['lost', 'told'])
    expect(found(toldOf(['x', 'y']), { mayTell: ['epoch'] })).toEqual(['lost'])
    expect(found(toldOf(['x', 'y']), { mayTell: ['expired'] })).toEqual(['lost', 'told'])
    expect(found([...toldOf(['x']), loss('y', null), behind(40)], { mayLose: true })).toEqual(['told'])
  })

  test('[FA2] a loss is told for the reasons that it has, and not before there can be one', () => {
    const told = (reason: LossReason): Line[] => [...toldOf(['x']), loss('y', reason), behind(40)]
    expect(found(told('trimmed'), { mayLose: true })).toEqual([])
    expect(found(told('expired'), { mayLose: true })).toEqual(['told'])
    expect(found(told('ahead'), { mayLose: true })).toEqual(['told'])
    expect(found([...toldOf(['x', 'y']), behind(51)], { mayLose: true })).toEqual(['told'])
  })

  test('[FA2] a store that may lose loses nothing that it acknowledged before, or after the fleet was whole again', () => {
    const lines = toldOf(['x', 'y'])
    const second = 1_000
    // `c` was acknowledged at 40; what is acknowledged so shortly before is still on its way.
    expect(found([...lines, behind(40 + second)], { mayLose: true })).toEqual(['told'])
    expect(found([...lines, behind(41 + second)], { mayLose: true })).toEqual(['lost', 'told'])
    expect(found(lines, { mayLose: true })).toEqual(['lost', 'told'])
    expect(found([...lines, { type: 'fault', t: 45, phase: 'emptied' }], { mayLose: true })).toEqual([])
    const whole = (t: number): Line[] => [...lines, behind(40), { type: 'fault', t, phase: 'healed' }]
    expect(found(whole(31), { mayLose: true })).toEqual([])
    expect(found(whole(30), { mayLose: true })).toEqual(['lost'])
  })

  /** A log of `count` messages and a client that saw them; the log begins after the first, and the run ends at `t`. */
  const trimmedLog = (count: number, t: number): Line[] =>
    play({ rooms: [count], clients: 1, resumes: [] })
      .filter((line) => line.type !== 'logged' || line.seq > 1)
      .concat({ type: 'connect', t, client: 'late' })

  test('[FA2] a log lets go of what is neither among its newest messages nor young, or what the fault itself trimmed', () => {
    expect(found(trimmedLog(historyEvents + 1, historyMs))).toEqual([])
    expect(found(trimmedLog(historyEvents + 1, historyMs - 1))).toEqual(['lost'])
    expect(found(trimmedLog(historyEvents, historyMs))).toEqual(['lost'])
    expect(found(trimmedLog(2, 0), { mayTell: ['trimmed'] })).toEqual([])
  })

  const again = (epochOfThen: string, seq: number): Line[] => [
    { type: 'again', t: 80, by: 'x', room, id: 'c' },
    { type: 'ok', t: 90, room, id: 'c', epoch: epochOfThen, seq },
  ]

  test('[FA2] what is published again is where it was, and is counted as repeated', () => {
    expect(check([...clean(), ...again(epoch, 3)], options)).toMatchObject({
      ...{ violations: [], acknowledged: 3, repeated: 1 },
    })
    const unanswered: Line[] = [...clean(), ...again(epoch, 3).slice(0, 1)]
    expect(check(unanswered, options)).toMatchObject({ violations: [], repeated: 0 })
  })

  test('[FA2] what was lost and is published again gets another place, where the store may lose and does not have it', () => {
    const anew: Line[] = [
      ...[...toldOf(['x', 'y']), behind(40), ...again('9.9', 9)],
      ...['x', 'y'].map((client): Line => ({
        type: 'position',
        t: 70,
        client,
        room,
        epoch: '9.9',
        seq: 8,
        recovered: false,
        reason: 'epoch',
      })),
      ...['x', 'y'].map((client): Line => ({ type: 'deliver', t: 90, client, room, epoch: '9.9', seq: 9, id: 'c' })),
    ]
    const logged = (seq: number): Line => ({ type: 'logged', t: 99, room, epoch: '9.9', seq, id: `filler-${seq}` })
    const fillers = [3, 4, 5, 6, 7, 8]
    const published = fillers.map((seq): Line => ({ type: 'invoke', t: 45, by: 'x', room, id: `filler-${seq}` }))
    const unknown = fillers.map((seq): Line => ({ type: 'unknown', t: 46, room, id: `filler-${seq}`, code: 'UNKNOWN' }))
    const log: Line[] = [...fillers.map(logged), { type: 'logged', t: 99, room, epoch: '9.9', seq: 9, id: 'c' }]
    const lines = [...anew, ...published, ...unknown, ...log]
    expect(found(lines, { mayLose: true })).toEqual([])
    expect(found(lines)).toEqual(['lost', 'honest', 'told'])
    const kept: Line[] = [...clean(), ...again('9.9', 9), behind(40)]
    expect(found(kept, { mayLose: true })).toContain('honest')
  })

  test('[FA2] what the log kept over a loss may be acknowledged again under the newer incarnation, at its number', () => {
    const again = (seq: number): Line[] => [...clean(), { type: 'ok', t: 90, room, id: 'a', epoch: '9.1', seq }]
    expect(found(again(1))).toEqual([])
    expect(found(again(2))).toEqual(['lost', 'honest'])
  })

  const planted: readonly [string, string, Line[]][] = [
    ['lost', 'a message that one client never saw', drop((line) => isSeen(line, 'y', 'c'))],
    ['lost', 'a message that the log does not have', drop((line) => isLogged(line, 'c'))],
    ['lost', 'a log that is gone', drop((line) => line.type === 'logged')],
    ['lost', 'a loss of which one client was not told', toldOf(['x'])],
    ['phantom', 'a message nobody published', drop((line) => line.type === 'invoke' && line.id === 'b')],
    [
      'phantom',
      'a message of another room',
      changed((line) => (line.type === 'invoke' && line.id === 'b' ? { ...line, room: 'other' } : line)).map((line) =>
        line.type === 'ok' && line.id === 'b' ? { ...line, room: 'other' } : line,
      ),
    ],
    ['duplicate', 'a message twice in the log', [...clean(), { type: 'logged', t: 99, room, epoch, seq: 4, id: 'a' }]],
    ['duplicate', 'an event seen twice', changed((line) => (isSeen(line, 'x', 'b') ? [line, line] : line))],
    [
      'order',
      'a message behind one that began after its acknowledgement',
      changed((line) => (line.type === 'invoke' && line.id === 'a' ? { ...line, t: 16 } : line)),
    ],
    ['contiguity', 'a hole', drop((line) => isSeen(line, 'x', 'b'))],
    [
      'contiguity',
      'a step back',
      clean().toSorted((a, b) => Number(isSeen(b, 'x', 'c')) - Number(isSeen(a, 'x', 'c'))),
    ],
    [
      'contiguity',
      'a move that was called recovered',
      [...clean(), { type: 'position', t: 90, client: 'x', room, epoch, seq: 7, recovered: true }],
    ],
    [
      'contiguity',
      'another life without a word',
      changed((line) => (isSeen(line, 'x', 'c') ? { ...line, epoch: '6.1' } : line)),
    ],
    ['complete', 'a client that is stuck', drop((line) => isSeen(line, 'y', 'b') || isSeen(line, 'y', 'c'))],
    [
      'agreement',
      'two messages at one place',
      changed((line) =>
        isSeen(line, 'x', 'b') ? { ...line, id: 'c' } : isSeen(line, 'x', 'c') ? { ...line, id: 'b' } : line,
      ),
    ],
    [
      'single writer',
      'a place acknowledged to two',
      changed((line) => (line.type === 'ok' && line.id === 'b' ? { ...line, seq: 1 } : line)),
    ],
    [
      'single writer',
      'a log that steps back in its lives',
      changed((line) => (isLogged(line, 'c') ? { ...line, epoch: '4.1' } : line)),
    ],
    [
      'aborted read',
      'a refused message in the log',
      [...clean(), { type: 'logged', t: 99, room, epoch, seq: 4, id: 'no' }],
    ],
    [
      'aborted read',
      'a refused message at a client',
      [...clean(), { type: 'deliver', t: 60, client: 'x', room, epoch, seq: 4, id: 'no' }],
    ],
    ['honest', 'a publish without an answer', [...clean(), { type: 'invoke', t: 1, by: 'x', room, id: 'd' }]],
    [
      'honest',
      'a refusal after the acknowledgement',
      [...clean(), { type: 'refused', t: 90, room, id: 'a', code: 'OVERLOADED' }],
    ],
    ['honest', 'two places for one key', [...clean(), { type: 'ok', t: 90, room, id: 'a', epoch, seq: 2 }]],
    ['honest', 'another place when it is published again', [...clean(), ...again(epoch, 4)]],
    ['honest', 'another place in another incarnation', [...clean(), ...again('9.9', 4)]],
    [
      'duplicate',
      'a message that was published again and stands twice',
      [...clean(), ...again(epoch, 3), { type: 'logged', t: 99, room, epoch, seq: 4, id: 'c' }],
    ],
    ['lost', 'a log that begins too late', trimmedLog(12, 99)],
    ['told', 'a loss told without a cause', [...clean(), { ...loss('x'), epoch, seq: 3 }]],
    [
      'heal',
      'a room that is late',
      changed((line) => (line.type === 'ok' && line.id === 'c' ? { ...line, t: 9_000 } : line)),
    ],
    ['heal', 'a room that never came back', drop((line) => line.type === 'ok' && line.id === 'c')],
  ]
  test.each(planted)('[FA3] %s: %s', (name, _what, lines) => {
    expect(found(lines)).toContain(name)
  })

  test('[FA3] every check has a planted violation', () => {
    const checks = ['lost', 'phantom', 'duplicate', 'order', 'contiguity', 'complete', 'agreement', 'single writer']
    expect(new Set(planted.map(([name]) => name))).toEqual(
      new Set([...checks, 'aborted read', 'honest', 'told', 'heal']),
    )
  })
})

/** Rooms, messages, and clients that miss a suffix at times and resume; all in order. */
const fleets = fc.record({
  rooms: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 3 }),
  clients: fc.integer({ min: 1, max: 3 }),
  resumes: fc.array(fc.nat(40), { maxLength: 6 }),
})
type Fleet = typeof fleets extends fc.Arbitrary<infer T> ? T : never

function play({ rooms, clients, resumes }: Fleet): Line[] {
  return rooms.flatMap((count, r) => {
    const of = `room-${r}`
    const ids = Array.from({ length: count }, (_, i) => `${of}-${i + 1}`)
    const views = Array.from({ length: clients }, (_, c) => `client-${c}`).flatMap((client): Line[] => [
      { type: 'position', t: 0, client, room: of, epoch, seq: 0, recovered: true },
      ...ids.flatMap((id, i): Line[] => {
        const at = { t: i * 2, client, room: of, epoch }
        const event: Line = { type: 'deliver', ...at, seq: i + 1, id }
        return resumes.includes(i) ? [{ type: 'position', ...at, seq: i, recovered: true }, event] : [event]
      }),
    ])
    return [
      ...ids.flatMap((id, i): Line[] => [
        { type: 'invoke', t: i * 2, by: 'p', room: of, id },
        { type: 'ok', t: i * 2 + 1, room: of, id, epoch, seq: i + 1 },
      ]),
      ...views,
      ...ids.map((id, i): Line => ({ type: 'logged', t: 99, room: of, epoch, seq: i + 1, id })),
    ]
  })
}

test('[FA2] they find nothing in any history in which nothing is wrong', () => {
  fc.assert(
    fc.property(fleets, (fleet) => {
      expect(check(play(fleet), options).violations).toEqual([])
    }),
  )
})

test('[FA3] whichever delivery, log entry or publish is left out, doubled or renamed, it is found', () => {
  const touched = (line: Line): boolean => line.type === 'deliver' || line.type === 'logged' || line.type === 'invoke'
  const spoilt = fc.constantFrom('left out', 'doubled', 'renamed')
  fc.assert(
    fc.property(fleets, fc.nat(), spoilt, (fleet, which, how) => {
      const lines = play(fleet)
      const targets = lines.flatMap((line, i) => (touched(line) ? [i] : []))
      const at = targets[which % targets.length] ?? 0
      const line = lines[at]
      if (line === undefined || line.type === 'fault' || !('id' in line)) return
      // The same publish may be made twice.
      if (how === 'doubled' && line.type === 'invoke') return
      const instead = how === 'left out' ? [] : how === 'doubled' ? [line, line] : [{ ...line, id: 'another' }]
      expect(check(lines.toSpliced(at, 1, ...instead), options).violations).not.toEqual([])
    }),
  )
})
