import { spawnSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { chart, render } from './render.ts'
import { tool } from '../../scripts/toolkit.mjs'

describe('what the chart refuses', () => {
  test.each([
    ['replcas=3', /replcas/],
    ['edge.replica=3', /replica/],
    ['edge.replicas=0', /edge\/replicas|minimum/],
    ['edge.replicas="two"', /edge.replicas/],
    ['shard.replicas=-1', /shard.replicas/],
    ['fleet.slots=100', /fleet.slots/],
    ['fleet.logLevel="loud"', /fleet.logLevel/],
    ['fleet.lanes=0', /fleet.lanes/],
    ['fleet.env={"lower-case":"1"}', /lower-case/],
    ['fleet.env={"FLOTILLA_X":["a"]}', /fleet.env/],
    ['edge.pdb.maxUnavailable=0', /maxUnavailable/],
    ['edge.pdb.maxUnavailable="0%"', /maxUnavailable/],
    ['edge.pdb.minAvailable=2', /minAvailable/],
    ['edge.service.type="Loadbalancer"', /service.type/],
    ['edge.service.port=70000', /service.port/],
    ['edge.autoscaling.cpu="high"', /autoscaling.cpu/],
    ['edge.keda.eventLoopUtilization=65', /eventLoopUtilization/],
    ['edge.drain.timeoutSeconds="2m"', /timeoutSeconds/],
    ['edge.maxSurge="0%"', /maxSurge/],
    ['edge.nlb.readinessGates=["a"]', /readinessGates/],
    ['networkPolicy.dnsPorts=[]', /dnsPorts/],
    ['edge.nodeArgs=["main.js"]', /nodeArgs/],
    ['edge.nlb.scheme="public"', /nlb.scheme/],
    ['image.digest="latest"', /image.digest/],
    ['image.pullPolicy="Sometimes"', /pullPolicy/],
    ['auth.jwksUrl="http://login.example.com/keys"', /jwksUrl/],
    ['auth.issuers="https://login.example.com"', /issuers/],
    ['externalRedis.ports=[]', /externalRedis.ports/],
    ['redis.persistence.size="8 gigabytes"', /persistence.size/],
    ['networkPolicy.metricsFrom=[]', /metricsFrom/],
    ['monitoring.podMonitor.interval="often"', /podMonitor.interval/],
    ['fullnameOverride="Fleet"', /fullnameOverride/],
    ['commonLabels={"team":1}', /commonLabels/],
    ['edge.resources={"memory":"1Gi"}', /resources/],
  ])('[HC13] the schema: %s', (set, says) => {
    const { ok, error } = render('default', [set])
    expect(ok).toBe(false)
    expect(error.replaceAll('/', '.')).toMatch(says)
  })

  test.each([
    [['edge.autoscaling.enabled=true', 'edge.keda.enabled=true'], /enable one of them/],
    [['redis.enabled=false'], /externalRedis.existingSecret/],
    [['auth.jwtSecretKey=""'], /Nobody could connect/],
    [['edge.drain.timeoutSeconds=12'], /too short: 1 full edges .* need 5 s to settle, 40 to move/],
    [['edge.drain.timeoutSeconds=120', 'control.reconnectsPerSecond=200'], /too short/],
    [['edge.drain.timeoutSeconds=120', 'edge.maxSurge=3'], /too short: 3 full edges/],
    [['control.reconnectsPerSecond=10'], /may last an hour/],
    [['edge.nlb.enabled=true', 'edge.drain.settleSeconds=30'], /settleSeconds has to be 90/],
    [['edge.nlb.enabled=true', 'edge.minReadySeconds=5'], /minReadySeconds has to be 30/],
    [['edge.nlb.enabled=true', 'edge.nlb.certificateArn="arn:aws:acm:x"'], /80 is none/],
    [['edge.service.nodePort=30080'], /nodePort is for the types/],
    [['monitoring.podMonitor.enabled=true', 'monitoring.serviceMonitor.enabled=true'], /sum would be doubled/],
    [['edge.nlb.enabled=true', 'edge.nlb.deregistrationDelaySeconds=60'], /forget clients/],
    [['edge.autoscaling.enabled=true', 'edge.autoscaling.scaleDownPeriodSeconds=60'], /drain at once/],
    [['edge.keda.enabled=true', 'edge.keda.scaleDownPeriodSeconds=60'], /drain at once/],
    [['edge.keda.enabled=true', 'edge.keda.minReplicas=50'], /above its maxReplicas/],
    [['edge.autoscaling.enabled=true', 'edge.autoscaling.cpu=null'], /nothing to scale by/],
  ])('[HC14] what does not go together: %s', (sets, says) => {
    const { ok, error } = render('default', sets)
    expect(ok).toBe(false)
    expect(error).toMatch(says)
  })

  test('[HC1] helm finds nothing to complain about', () => {
    const { status, stdout, stderr } = spawnSync(tool('helm'), ['lint', '--strict', chart], { encoding: 'utf8' })
    expect(stdout + stderr).toMatch(/0 chart\(s\) failed/)
    expect(status).toBe(0)
  })
})
