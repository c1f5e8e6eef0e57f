import { expect, test } from 'vitest'
import { pipeline } from '../pipeline/pipeline.js'
import { stream } from '../stream/stream.js'
import { checkedDefinitions, definitionsIn } from './definitions.js'

const clicks = stream<number>('clicks')
const copy = (name: string) => pipeline(name).from(clicks).to(stream<number>('copies'))

test('finds the pipelines of a module, by default and by name, each once, and nothing else', () => {
  const [one, two] = [copy('one'), copy('two')]
  const module = { default: one, one, two, clicks, flow: pipeline('three').from(clicks), text: 'x', nothing: null }
  expect(definitionsIn(module)).toEqual([one, two])
})

test('refuses what no node can run', () => {
  const refused = (given: unknown) => expect(() => checkedDefinitions('startNode', given as never))
  refused([copy('one'), copy('one')]).toThrow(/two pipelines have the name "one".*name of its own/)
  refused([]).toThrow(/definitions of startNode must be one or more pipelines/)
  refused(copy('one')).toThrow(/definitions of startNode must be one or more pipelines/)
  refused([pipeline('one').from(clicks)]).toThrow(/definitions of startNode must be pipelines that/)
})
