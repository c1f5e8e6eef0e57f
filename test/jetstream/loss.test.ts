/** The comparison of `npm run bench -- loss`, in small. What the other programs lose is theirs: it is printed only. */
import { expect, test } from 'vitest'
import type { Figure } from '../../bench/case.js'
import { lossCases } from '../../bench/loss.js'

test('a pipeline that is killed loses and doubles nothing, beside the loops that people write', async () => {
  const figures: Figure[] = []
  for await (const figure of lossCases({ records: 12_000, kills: 2 })) figures.push(figure)
  for (const { case: name, figure, unit } of figures) console.info(`${name}: ${figure} ${unit}`)
  expect(figures).toHaveLength(4 * 3)
  const ours = figures.filter(({ bar }) => bar === '0').map(({ case: name, figure }) => [name.split(': ')[1], figure])
  expect(ours).toEqual([
    ['lost', 0],
    ['doubled', 0],
    ['out of order', 0],
  ])
}, 180_000)
