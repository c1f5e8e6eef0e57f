/** Reads the lists of docs/permissions.md and makes users of a server from them. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** One row of a list. */
export interface Permission {
  readonly may: 'publish' | 'subscribe'
  readonly subject: string
}

const PAGE = join(import.meta.dirname, '../../docs/permissions.md')

/** The rows of the list under a heading of the page; throws when there are none. */
export function permissionsUnder(heading: string): readonly Permission[] {
  const section = readFileSync(PAGE, 'utf8')
    .split(/^## /m)
    .find(text => text.startsWith(`${heading}\n`))
  const rows = [...(section ?? '').matchAll(/^\| (publish|subscribe) \| `([^`]+)` \| [^|]+ \|$/gm)]
  if (rows.length === 0) throw new Error(`docs/permissions.md has no list under "${heading}"`)
  return rows.map(row => ({ may: row[1] as Permission['may'], subject: row[2] as string }))
}

/** A user for the server's configuration, with a password like its name. Without permissions it may do all. */
export function user(name: string, permissions?: readonly Permission[]): string {
  const who = `{ user: "${name}", password: "${name}"`
  if (permissions === undefined) return `${who} }`
  const allowed = (may: Permission['may']) => {
    const subjects = permissions.filter(permission => permission.may === may).map(({ subject }) => subject)
    // An empty list of what is allowed means everything.
    return subjects.length === 0 ? '{ deny: [">"] }' : `{ allow: ${JSON.stringify(subjects)} }`
  }
  return `${who}, permissions: { publish: ${allowed('publish')}, subscribe: ${allowed('subscribe')} } }`
}

/** Whether a subject is one of those that a pattern stands for. */
export function covers(pattern: string, subject: string): boolean {
  const escaped = pattern.replace(/[.$]/g, '\\$&').replaceAll('*', '[^.]+').replace(/>$/, '.+')
  return new RegExp(`^${escaped}$`).test(subject)
}
