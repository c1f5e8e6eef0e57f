import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { errorCodes } from '../src/errors.js'

const page = readFileSync(join(import.meta.dirname, '../docs/reference/errors.md'), 'utf8')

/** `Class CODE` for each row of the page, under the heading of its class. */
function documented(text: string): string[] {
  return text.split(/^## /m).flatMap(section => {
    const name = /^\w+/.exec(section)?.[0] ?? ''
    return [...section.matchAll(/^\| `(\w+)` \| \S.* \| \S.* \|$/gm)].map(row => `${name} ${row[1] ?? ''}`)
  })
}

const thrown = Object.entries(errorCodes).flatMap(([name, codes]) => codes.map(code => `${name} ${code}`))

test('docs/reference/errors.md has a row for every code, under its class, and for no other', () => {
  expect(documented(page)).toEqual(thrown)
})

test('a row counts only with a code, a case and a mend, under the heading of its class', () => {
  const text = '## RecordError: x\n| code | when | the mend |\n|---|---|---|\n| `A_B` | b | c |\n| `D` | |\n'
  expect(documented(text)).toEqual(['RecordError A_B'])
})
