import type { Fault } from '../fault.ts'

export const edgeKill: Fault = {
  name: 'edge-kill',
  about: 'An edge is killed (SIGKILL) and started again; its clients resume elsewhere.',
  async inject({ fleet, any, traffic, count }) {
    const edge = any(fleet.edges)
    const { signal } = await edge.kill('SIGKILL')
    count('killed', signal === 'SIGKILL' ? 1 : 0)
    await traffic.connected()
    await edge.start()
  },
  evidence: ({ recorder }) =>
    Promise.resolve({ connectionsLost: recorder.lines.filter((line) => line.type === 'disconnect').length }),
}
