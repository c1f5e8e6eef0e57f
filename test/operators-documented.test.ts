/** The page of operators has a row for each operator of RxJS, with the verdict that the code has, and names all of ours. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { verdicts } from '../src/operators/verdicts.js'

const root = join(import.meta.dirname, '..')
const page = readFileSync(join(root, 'docs/reference/operators.md'), 'utf8')

test('the page has the verdict on every operator of RxJS, in order, as the code has it', () => {
  const names = Object.keys(verdicts).sort()
  const rows = names.map(name => {
    const { verdict = '', why = '', mend = '' } = verdicts[name] ?? {}
    return `| \`${name}\` | ${verdict} | ${why} | ${mend} |`.replaceAll('  ', ' ')
  })
  const [, table = ''] = page.split('## Every operator of RxJS\n')
  expect(table.split('\n').filter(line => line.startsWith('| `'))).toEqual(rows)
})

test('the page names every operator and aggregate that is on the face', () => {
  const face = readFileSync(join(root, 'src/index.ts'), 'utf8')
  const names = [...face.matchAll(/^export \{ (\w+) \} from '\.\/(?:aggregates|operators)\//gm)].map(([, name]) => name)
  expect(names.length).toBeGreaterThan(20)
  const [ours = ''] = page.split('## Operators of RxJS')
  expect(names.filter(name => !ours.includes(`| \`${name}(`))).toEqual([])
})
