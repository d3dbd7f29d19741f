import type { Fault } from '../fault.ts'
import { edgeKill } from './edge-kill.ts'

/** Every fault of the campaign, in the order of the report. */
export const faults: readonly Fault[] = [edgeKill]
