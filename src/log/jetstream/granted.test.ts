import fc from 'fast-check'
import { expect, test } from 'vitest'
import { lacking, needsOf, permissionChecks } from './granted.js'

const word = fc.constantFrom('a', 'b')
const subject = fc.array(word, { minLength: 1, maxLength: 4 })
const pattern = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', '*'), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([words, tail]) => (tail ? [...words.slice(0, 3), '>'] : words).join('.'))

/** Every subject of up to five words. */
const all = [1, 2, 3, 4, 5].flatMap(length =>
  Array.from({ length: 2 ** length }, (_, bits) =>
    Array.from({ length }, (_, at) => ((bits >> at) & 1 ? 'b' : 'a')).join('.'),
  ),
)
function matches(pattern: string, subject: string): boolean {
  const escaped = pattern.replace(/\./g, '\\.').replaceAll('*', '[^.]+').replace(/>$/, '.+')
  return new RegExp(`^${escaped}$`).test(subject)
}

test('a need is granted when each subject that it stands for is allowed by one pattern, and none denied', () => {
  fc.assert(
    fc.property(pattern, pattern, pattern, (need, allow, deny) => {
      const meant = all.filter(one => matches(need, one))
      const isAllowed = meant.every(one => matches(allow, one))
      const isDenied = meant.some(one => matches(deny, one))
      const missing = (granted: object) => lacking([{ may: 'publish', subject: need }], { publish: granted }).length > 0
      expect(missing({ allow: [allow] })).toBe(!isAllowed)
      expect(missing({ deny: [deny] })).toBe(isDenied)
      expect(missing({ allow: [allow], deny: [deny] })).toBe(!isAllowed || isDenied)
    }),
  )
})

test('a plain subject is granted by its own pattern', () => {
  fc.assert(
    fc.property(subject, words => {
      const need = { may: 'subscribe', subject: words.join('.') } as const
      expect(lacking([need], { subscribe: { allow: [`${words.join('.')} queue`] } })).toEqual([])
    }),
  )
})

const uses = [{ name: 's', roles: ['source'], asked: {} } as const]
const needing = { uses, signals: [], there: () => true, api: '$JS.API', inbox: '_INBOX' }

test('what is there need not be made, and what is only read need not be written', () => {
  const subjects = needsOf(needing).map(({ subject }) => subject)
  expect(subjects).not.toContain('$JS.API.STREAM.CREATE.s')
  expect(subjects).not.toContain('s.*')
  expect(needsOf({ ...needing, there: () => false }).map(({ subject }) => subject)).toContain('$JS.API.STREAM.CREATE.s')
})

test('what is a courtesy is weak when it is missing, all else wrong', () => {
  const denied = { publish: { deny: ['$JS.API.CONSUMER.DELETE.s.*', '$JS.API.STREAM.INFO.s'] } }
  expect(permissionChecks(needsOf(needing), denied).map(({ level, what }) => `${level}: ${what}`)).toEqual([
    ...['wrong: this user may not publish "$JS.API.STREAM.INFO.s"'],
    ...['weak: this user may not publish "$JS.API.CONSUMER.DELETE.s.*"'],
  ])
})

test('what only commands need that ask nodes is weak when it is missing', () => {
  const signals = [{ may: 'subscribe', subject: '$SN.status' } as const]
  const found = permissionChecks(needsOf({ ...needing, signals }), { subscribe: { allow: ['_INBOX.>'] } })
  expect(found).toMatchObject([{ level: 'weak', what: 'this user may not subscribe "$SN.status"' }])
})
