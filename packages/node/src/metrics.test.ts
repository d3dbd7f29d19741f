import { describe, expect, test } from 'vitest'
import { createMetrics } from './metrics.ts'

const create = () => createMetrics({ service: 'edge' })

describe('metrics', () => {
  test('[MT1] counters, gauges and histograms are rendered with their labels (OP5)', async () => {
    const metrics = create()
    metrics.counter({ name: 'flotilla_refused_total', help: 'Refused.', labels: ['reason'] }).inc({ reason: 'full' }, 2)
    metrics.gauge({ name: 'flotilla_sockets', help: 'Open.', collect: (gauge) => gauge.set(7) })
    metrics.histogram({ name: 'flotilla_commit_seconds', help: 'Time.' }).observe(0.003)
    const { body, contentType } = await metrics.render()
    expect(contentType).toContain('text/plain')
    expect(body).toContain('flotilla_refused_total{reason="full",service="edge"} 2')
    expect(body).toContain('flotilla_sockets{service="edge"} 7')
    expect(body).toContain('flotilla_commit_seconds_bucket{le="0.005",service="edge"} 1')
    expect(metrics.declared().map(({ name, type }) => `${name} ${type}`)).toEqual([
      'flotilla_event_loop_utilization_ratio gauge',
      'flotilla_refused_total counter',
      'flotilla_sockets gauge',
      'flotilla_commit_seconds histogram',
    ])
  })

  test('[MT1] names of another form are refused', () => {
    const metrics = create()
    const help = 'What.'
    expect(() => metrics.counter({ name: 'flotilla_refused', help })).toThrow('does not end as a counter')
    expect(() => metrics.counter({ name: 'refused_total', help })).toThrow('not of the form')
    expect(() => metrics.counter({ name: 'flotilla_Refused_total', help })).toThrow('not of the form')
    expect(() => metrics.gauge({ name: 'flotilla_sockets_total', help })).toThrow('does not end as a gauge')
    expect(() => metrics.histogram({ name: 'flotilla_commit_ms', help })).toThrow('does not end as a histogram')
    expect(() => metrics.histogram({ name: 'flotilla_commit_bytes', help })).toThrow('needs buckets')
    expect(() => metrics.histogram({ name: 'flotilla_commit_bytes', help, buckets: [1, 2] })).not.toThrow()
  })

  test('[MT2] labels are closed, few and not ours', () => {
    const metrics = create()
    const refused = metrics.counter({ name: 'flotilla_a_total', help: 'What.', labels: ['reason'] })
    // @ts-expect-error the label was not declared
    expect(() => refused.inc({ room: 'chat:1' })).toThrow()
    expect(() => metrics.counter({ name: 'flotilla_b_total', help: 'What.', labels: ['service'] })).toThrow(
      'label service',
    )
    expect(() =>
      metrics.counter({ name: 'flotilla_b_total', help: 'What.', labels: ['a', 'b', 'c', 'd', 'e'] }),
    ).toThrow('more than 4')
  })

  test('[MT3] the same declaration gives the same metric, another one is refused', () => {
    const metrics = create()
    const declared = { name: 'flotilla_a_total', help: 'What.', labels: ['x'] } as const
    expect(metrics.counter(declared)).toBe(metrics.counter(declared))
    expect(() => metrics.counter({ name: 'flotilla_a_total', help: 'What.' })).toThrow('differently')
    metrics.gauge({ name: 'flotilla_g', help: 'What.' })
    expect(() => metrics.counter({ ...declared, labels: ['y'] })).toThrow('differently')
  })

  test('[MT4] process metrics with event loop lag are there, and no gauge among them ends in _total', async () => {
    const { body } = await create().render()
    expect(body).toContain('nodejs_eventloop_lag_p99_seconds{service="edge"}')
    expect(body).toContain('process_resident_memory_bytes{service="edge"}')
    expect(body).toMatch(/flotilla_event_loop_utilization_ratio\{service="edge"\} (0|1|0\.\d+)/)
    expect(body).not.toMatch(/# TYPE \w+_total gauge/)
  })

  test('[MT4] two registries in one process do not meet', async () => {
    const [a, b] = [create(), create()]
    a.counter({ name: 'flotilla_a_total', help: 'What.' }).inc()
    expect((await b.render()).body).not.toContain('flotilla_a_total')
  })
})
