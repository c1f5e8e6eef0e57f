/** What the tests of `run` share: a file with a pipeline, and what it must have made of what went in. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Doubles the even ones of `numbers` into `doubles`, and counts those by user into `counts`, a pipeline of its own. */
export const NUMBERS = `
  import { filter, map } from 'rxjs'
  import { aggregate, count, pipeline, stream, sum } from 'stream-node'

  interface Numbered { user: string; n: number }
  export const numbers = stream<Numbered>('numbers', { key: 'user' })
  const even = pipeline('double')
    .from(numbers)
    .pipe(filter(({ n }) => n % 2 === 0), map(({ user, n }) => ({ user, n, twice: 2 * n })))
  export const doubles = even.as('doubles', { key: 'user' })
  export default even.to(doubles)

  const perUser = pipeline('count').from(doubles).pipe(aggregate({ count: count(), sum: sum(({ n }) => n) }))
  export const counts = perUser.to(perUser.as('counts'))
`

export function writeNumbers(folder: string): void {
  writeFileSync(join(folder, 'numbers.ts'), NUMBERS)
}

/** The input: numbers of ten users, one JSON value a line. */
export function* numbers(from: number, to: number): Generator<string> {
  for (let at = from; at < to; at += 1000) {
    const many = Array.from({ length: Math.min(1000, to - at) }, (_, i) => at + i)
    yield many.map(n => `${JSON.stringify({ user: `u${n % 10}`, n })}\n`).join('')
  }
}

/** What `doubles` must hold of one user, in order. */
export function doublesOf(user: number, to: number): object[] {
  const all = Array.from({ length: to }, (_, n) => n).filter(n => n % 10 === user && n % 2 === 0)
  return all.map(n => ({ user: `u${user}`, n, twice: 2 * n }))
}
