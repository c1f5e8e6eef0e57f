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

/** Whom tests speak as who arrange things on a server in ways that programs never do. Where all may do all, anybody. */
export const administrator = { user: 'admin', pass: 'admin' }

/** A user who may send signals on any subject, for tests that draw the subjects. */
export const signaller = { user: 'signaller', password: 'signaller' }

/**
 * The list for streams, buckets and pipelines of any name, as the page says; with what a node needs beside, and with signals
 * on these subjects.
 */
export function anyName(signals: readonly string[]): readonly Permission[] {
  const makes = permissionsUnder('A program that makes its streams').map(row => ({
    ...row,
    subject: row.subject.replace('clicks.*', '*.*').replace(/clicks|KV_stream-node|stream-node/, '*'),
  }))
  const beats = permissionsUnder('Signals').filter(({ subject }) => subject === 'beats.>')
  const sent = beats.flatMap(row => signals.map(subject => ({ ...row, subject })))
  const answers = permissionsUnder('A node').filter(({ subject }) => /^(?:\$SN|_INBOX)/.test(subject))
  const all = [...makes, ...answers, ...permissionsUnder('Who asks nodes'), ...sent]
  return all.map(row => ({ ...row, subject: row.subject.replace('_INBOX_app', '_INBOX') }))
}

/** Subjects on which the suites send signals, beside those that they draw. */
const SIGNALS = ['odd', 'nobody', 'beats.>']

/** Lines for a server's configuration: whoever does not say who he is has the documented permissions, and no more. */
export function leastPrivileges(): string {
  const anySignal = [...anyName(['*', '*.>'])]
  const users = [user('admin'), user('app', anyName(SIGNALS)), user('signaller', anySignal)]
  return `authorization { users: [\n${users.join('\n')}\n] }\nno_auth_user: app`
}
