import { describe, expect, it } from 'vitest'
import { parsePattern, parseTemplate, textOf, textsOf, valueOf } from './template.ts'
import type { MessageFields } from './template.ts'

const fields: MessageFields = {
  subject: 'agent.42.tool.called',
  tokens: { agentId: '42', rest: 'tool.called' },
  headers: { 'x-trace': 'abc' },
  payload: { tenant: 'acme', n: 7, deep: { list: ['a', 'b'] }, odd: 'a:b', empty: '' },
}

describe('subjects', () => {
  it.each([
    ['agent.{agentId}.>', 'agent.42.tool.called', { agentId: '42', rest: 'tool.called' }],
    ['agent.{agentId}.>', 'agent.42', undefined],
    ['agent.{agentId}', 'agent.42', { agentId: '42' }],
    ['agent.{agentId}', 'agent.42.x', undefined],
    ['*.{id}.done', 'task.7.done', { id: '7' }],
    ['*.{id}.done', 'task.7.begun', undefined],
    ['>', 'a.b', { rest: 'a.b' }],
    ['events:orders', 'events:orders', {}],
  ])('[NS4] %s and %s', (pattern, subject, tokens) => {
    expect(parsePattern(pattern).match(subject)).toEqual(tokens)
  })

  it.each(['a..b', '>.a', 'a.b*', 'a.{', 'a.{1}', 'a.{payload}', 'a.{rest}', '{a}.{a}', 'a b', ''])(
    '[NS4] %s is no pattern',
    (pattern) => {
      expect(() => parsePattern(pattern)).toThrow()
    },
  )
})

describe('templates', () => {
  it.each([
    ['agent:{payload.tenant}:{agentId}', 'agent:acme:42'],
    ['{subject}', 'agent.42.tool.called'],
    ['agent.{last}', 'agent.called'],
    ['{rest}', 'tool.called'],
    ['{header.X-Trace}', 'abc'],
    ['{payload.n}', '7'],
    ['{payload.deep.list.1}', 'b'],
  ])('[NS5] %s is %s', (template, text) => {
    expect(textOf(parseTemplate(template), fields)).toBe(text)
  })

  it.each([
    ['x{payload.none}', 'is absent'],
    ['x{payload.toString}', 'is absent'],
    ['x{payload.deep}', 'is no text'],
    ['x{payload.empty}', 'is no text'],
    ['room:{payload.odd}', 'has a : in it'],
  ])('[NS5] %s cannot be filled in: %s', (template, fault) => {
    expect(() => textOf(parseTemplate(template), fields, ':')).toThrow(fault)
  })

  it('[NS5] one placeholder alone keeps its value, and a list is a text per item', () => {
    expect(valueOf(parseTemplate('{payload.deep}'), fields)).toEqual({ list: ['a', 'b'] })
    expect(textsOf(parseTemplate('{payload.deep.list}'), fields)).toEqual(['a', 'b'])
    expect(textOf(parseTemplate('{payload.odd}'), fields, ':')).toBe('a:b')
  })

  it.each(['{', 'a}', '{}', '{payload.}', '{header}', '{a.b}', '{a b}'])('[NS5] %s is no template', (template) => {
    expect(() => parseTemplate(template)).toThrow()
  })
})
