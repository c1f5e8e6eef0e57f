import { expect, test } from 'vitest'
import { plan } from '../pipeline/plan.js'
import { pipeline } from '../pipeline/pipeline.js'
import { stream, type Stream } from '../stream/stream.js'
import { depthOf } from './depth.js'

const [a, b, c, d] = ['a', 'b', 'c', 'd'].map(name => stream<number>(name)) as [S, S, S, S]
type S = Stream<number>
const from = (source: S, target: S | (() => S)) => plan(pipeline(`${source.name}-x`).from(source).to(target))

test('is one for stages that have nothing to do with each other', () => {
  expect(depthOf([...from(a, b), ...from(c, d)])).toBe(1)
  expect(depthOf([])).toBe(0)
})

test('is as long as the longest chain, in whatever order they are given', () => {
  const chain = [...from(c, d), ...from(a, b), ...from(b, c)]
  expect(depthOf(chain)).toBe(3)
  expect(depthOf(chain.toReversed())).toBe(3)
  expect(depthOf([...chain, ...from(a, d)])).toBe(3)
})

test('is endless where a road leads back, and where one writes to what only its values say', () => {
  expect(depthOf([...from(a, b), ...from(b, a)])).toBe(Infinity)
  expect(depthOf([...from(d, a), ...from(a, b), ...from(b, a)])).toBe(Infinity)
  expect(depthOf([...from(b, c), ...from(a, () => b)])).toBe(Infinity)
})
