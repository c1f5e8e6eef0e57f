/** Names and subjects as every kind of log takes them. */
import { DefinitionError } from '../../errors.js'
import type { StreamSpec } from '../../log/log.js'
import type { LogRecord } from '../../log/record.js'

/** Whether a stored record is one that a stream of ours reads: of a source, those under its subject. */
export function isFor({ source }: StreamSpec, stored: string, { partition }: LogRecord): boolean {
  return source === undefined || matches(source.subject, `${stored}.${partition}`)
}

/** Whether a pattern takes in a subject: `*` stands for one word, a last `>` for one or more. */
export function matches(pattern: string, subject: string): boolean {
  const wanted = pattern.split('.')
  const words = subject.split('.')
  for (const [i, want] of wanted.entries()) {
    if (want === '>' && i === wanted.length - 1) return words.length > i
    if (want !== '*' && want !== words[i]) return false
  }
  return wanted.length === words.length
}

/** Throws for a name that no kind takes. */
export function checkName(what: string, name: string): void {
  if (/^[A-Za-z0-9_-]{1,200}$/.test(name)) return
  const given = `the name ${JSON.stringify(name)} of a ${what}`
  throw new DefinitionError('BAD_NAME', `${given} is not made of letters, digits, - and _`, 'choose another')
}
