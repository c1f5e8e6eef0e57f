import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { isEnd, moved, type PartitionState } from './lifecycle.js'

const ALL = [
  ...(['new', 'claiming', 'suspect', 'running', 'paused', 'draining', 'restarting'] as const),
  ...(['stopped', 'fenced', 'halted', 'failed'] as const),
] satisfies PartitionState[]
const ends = ALL.filter(isEnd)

function follows(from: PartitionState): PartitionState[] {
  return ALL.filter(to => {
    try {
      return moved(from, to) === to
    } catch {
      return false
    }
  })
}

test('docs/architecture.md has every state, and every arrow from one to another', () => {
  const page = readFileSync(new URL('../../docs/architecture.md', import.meta.url), 'utf8')
  const [, table = ''] = page.split('| state | it | may be followed by |\n')
  const rows = table.split('\n\n')[0]?.split('\n').slice(1) ?? []
  const codes = (text = '') => [...text.matchAll(/`(\w+)`/g)].map(([, code]) => code as string)
  const documented = rows.flatMap(row => {
    const [, states, , next] = row.split('|')
    return codes(states).map(state => [state, codes(next).sort()])
  })
  const arrows = ALL.map(state => [state, follows(state).filter(to => !isEnd(to))] as const)
  expect(documented).toEqual(arrows.map(([state, next]) => [state, next.sort()]))
})

test('what has not ended may end in any way, and after an end nothing follows', () => {
  for (const state of ALL) expect(follows(state).filter(isEnd)).toEqual(isEnd(state) ? [] : ends)
})
