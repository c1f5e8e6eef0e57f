/**
 * What a node needs to be allowed, subject by subject as `docs/permissions.md` has it, and what of it a user lacks by
 * what the server says of that user.
 */
import type { Finding, SignalUse, StreamUse } from '../examiner.js'
import { NOTES_BUCKET } from './floors.js'

/** A subject that a node publishes or subscribes. */
export interface Need extends SignalUse {
  /** What goes less well without it, where all else does. */
  readonly without?: string
}

/** What the server lets a user do; an absent list allows all. */
export interface Granted {
  readonly publish?: Allowed
  readonly subscribe?: Allowed
}

export interface Allowed {
  readonly allow?: readonly string[]
  readonly deny?: readonly string[]
}

/** What is there already need not be made. */
export interface Needing {
  readonly uses: readonly StreamUse[]
  readonly signals: readonly SignalUse[]
  readonly there: (stream: string) => boolean
  /** `$JS.API`, or that of the domain. */
  readonly api: string
  /** What answers come to. */
  readonly inbox: string
}

/** All that a node needs that uses these streams. */
export function needsOf({ uses, signals, there, api, inbox }: Needing): Need[] {
  const needs: Need[] = []
  const publish = (subject: string) => needs.push({ may: 'publish', subject })
  const reading = (stream: string) => {
    publish(`${api}.STREAM.INFO.${stream}`)
    publish(`${api}.STREAM.MSG.GET.${stream}`)
    publish(`${api}.CONSUMER.CREATE.${stream}.>`)
    publish(`${api}.CONSUMER.MSG.NEXT.${stream}.*`)
    needs.push({ may: 'publish', subject: `${api}.CONSUMER.DELETE.${stream}.*`, without: UNTIDY })
  }
  for (const { name, roles, asked } of uses) {
    const stream = asked.source?.stream ?? name
    reading(stream)
    if (asked.source !== undefined) continue
    if (!there(stream)) publish(`${api}.STREAM.CREATE.${stream}`)
    if (roles.some(role => role !== 'source')) publish(`${name}.*`)
    if (roles.includes('ledger')) publish(`${api}.STREAM.PURGE.${name}`)
  }
  const bucket = `KV_${NOTES_BUCKET}`
  reading(bucket)
  if (!there(bucket)) publish(`${api}.STREAM.CREATE.${bucket}`)
  publish(`$KV.${NOTES_BUCKET}.>`)
  needs.push({ may: 'subscribe', subject: `${inbox}.>` })
  for (const signal of signals) needs.push({ ...signal, without: UNHEARD })
  return needs
}

const UNTIDY = 'the server tidies up after readers only half a minute after they are gone'
const UNHEARD = 'a command that asks the nodes does not reach those of this user'

/** The needs that are not granted. */
export function lacking(needs: readonly Need[], granted: Granted): Need[] {
  return needs.filter(({ may, subject }) => !isGranted(subject, granted[may]))
}

function isGranted(subject: string, { allow, deny = [] }: Allowed = {}): boolean {
  if (deny.some(pattern => meets(wordsOf(pattern), subject.split('.')))) return false
  return (
    allow === undefined || allow.length === 0 || allow.some(pattern => covers(wordsOf(pattern), subject.split('.')))
  )
}

/** Without the queue that may stand behind it. */
function wordsOf(pattern: string): string[] {
  return (pattern.split(' ')[0] as string).split('.')
}

/** Whether all that one stands for is among what the other stands for. */
function covers(pattern: readonly string[], subject: readonly string[]): boolean {
  for (const [at, word] of pattern.entries()) {
    if (word === '>') return subject.length > at
    const other = subject[at]
    if (other === undefined || other === '>' || (word !== '*' && word !== other)) return false
  }
  return pattern.length === subject.length
}

/** Whether both stand for some subject. */
function meets(one: readonly string[], other: readonly string[]): boolean {
  for (let at = 0; ; at++) {
    const [a, b] = [one[at], other[at]]
    if (a === undefined || b === undefined) return a === b
    if (a === '>' || b === '>') return true
    if (a !== '*' && b !== '*' && a !== b) return false
  }
}

/** What is found; `granted` is undefined where the server does not say. */
export function permissionChecks(needs: readonly Need[], granted: Granted | undefined): Finding[] {
  const check = 'permissions'
  if (granted === undefined) {
    const what = 'the server does not tell this user what it may do'
    const mend =
      'compare the user with docs/permissions.md; from 2.10 on the server tells whoever may publish "$SYS.REQ.USER.INFO"'
    return [{ level: 'unknown', check, what, mend }]
  }
  const missing = lacking(needs, granted)
  if (missing.length === 0) return [{ level: 'ok', check, what: 'this user may do all that is needed here' }]
  return missing.map(({ may, subject, without }) => {
    const what = `this user may not ${may} "${subject}"`
    const mend = 'grant it; docs/permissions.md says what each is for'
    if (without !== undefined) return { level: 'weak', check, what, means: without, mend }
    return { level: 'wrong', check, what, means: 'a node of this user ends or waits there: PERMISSION_DENIED', mend }
  })
}
