import { createGate } from './gate.ts'
import type { Gate, SlowStart } from './gate.ts'

/** Who comes when more come than are accepted per second waits, as many as make it within so long, ms. */
const acceptWaitMs = 4_000
/**
 * Together with it less than the 10 s that the client library waits for its answer: before come its token and TLS, and after it what an edge asks a
 * worker where connections are limited.
 */
const readWaitMs = 5_000
/**
 * So many times as many connections are read as accepted per second: some are pages, and newcomers who are turned away may not keep those
 * out who come back. Those who are read early only wait longer for their turn, and reading them takes what those who are connected need.
 */
const readFactor = 1.3
/**
 * The first of a crowd cost most: each brings a room that this edge does not have yet, its code is not compiled, and their own machines
 * are busiest while all of them connect. Of 10,000 who came back at once the first three seconds made the others late.
 */
const slowStart = { from: 0.3, overMs: 4_000 }
/** Nobody needs to be spared who comes at such a pace, per second. */
const harmlessPerSecond = 100

export interface Paces {
  readonly acceptsPerSecond: number
  /** Of clients that come back; beside the others, so that newcomers cannot keep them out. */
  readonly resumesPerSecond: number
}

/** What a connection goes through: it is read, and when it turns out to be a client it is accepted. */
export interface Gates {
  readonly reads: Gate
  readonly accepts: Gate
  readonly resumes: Gate
}

export function createGates({ acceptsPerSecond, resumesPerSecond }: Paces): Gates {
  const readsPerSecond = readFactor * (acceptsPerSecond + resumesPerSecond)
  return {
    reads: createGate({ perSecond: readsPerSecond, waitMs: readWaitMs, slowStart: slowly(readsPerSecond) }),
    accepts: createGate({ perSecond: acceptsPerSecond, waitMs: acceptWaitMs }),
    resumes: createGate({ perSecond: resumesPerSecond, waitMs: acceptWaitMs, slowStart: slowly(resumesPerSecond) }),
  }
}

function slowly(perSecond: number): SlowStart {
  return { ...slowStart, from: Math.min(1, Math.max(slowStart.from, harmlessPerSecond / perSecond)) }
}
