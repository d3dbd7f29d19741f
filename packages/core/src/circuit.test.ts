import { expect, it } from 'vitest'
import { createCircuit, failed, mayAsk, succeeded } from './circuit.ts'

it('[HK15] after five failures in a row nobody is asked for a second, then one is, and each that fails doubles the time up to 30 s', () => {
  const circuit = createCircuit()
  for (let i = 0; i < 4; i += 1) failed(circuit, i)
  expect(mayAsk(circuit, 10)).toBe(0)
  failed(circuit, 10)
  expect(mayAsk(circuit, 11)).toBe(999)
  // What was under way when it opened tells nothing new.
  failed(circuit, 12)
  expect(mayAsk(circuit, 1_009)).toBe(1)
  expect(mayAsk(circuit, 1_010)).toBe(0)
  expect(mayAsk(circuit, 1_010)).toBe(1_000)
  failed(circuit, 1_100)
  expect(mayAsk(circuit, 1_100)).toBe(2_000)
  for (let now = 3_100; now < 200_000; now += mayAsk(circuit, now)) if (mayAsk(circuit, now) === 0) failed(circuit, now)
  expect(circuit.openUntilMs - 200_000).toBeLessThan(30_000)
  const at = circuit.openUntilMs
  expect(mayAsk(circuit, at)).toBe(0)
  succeeded(circuit)
  expect(mayAsk(circuit, at)).toBe(0)
  failed(circuit, at)
  expect(mayAsk(circuit, at)).toBe(0)
})
