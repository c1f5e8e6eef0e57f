/** What the settings that every kind of log has mean for a stream, by what it is there for. */
import type { Finding, StreamUse } from './examiner.js'
import { countInWords, spanInWords, sizeInWords } from './in-words.js'
import type { Retention, StreamSpec } from './log.js'

/** In a shorter one a pipeline refuses to write. */
const WINDOW_MIN_MS = 1000
/** What streams are made with. */
const WINDOW_USUAL_MS = 20_000
/** The log keeps every id for so long. */
const WINDOW_LONG_MS = 600_000
/** Whoever is down for longer than this is looked after. */
const OUTAGE_MS = 3_600_000

/** Of a stream that is to be made. */
export const NOT_YET = 'not there yet: it is made when it is first used'

/** A finding about a stream, which is named where all are gathered. */
export type Check = Omit<Finding, 'stream'>

/** What is found of the settings of a stream that is there. `isDropping` says whether bounds drop records at all. */
export function checksOf(use: StreamUse, spec: StreamSpec, isDropping = true): Check[] {
  const { roles } = use
  return [
    ...difference(use, spec),
    ...(roles.includes('target') || roles.includes('dead letters') ? window(spec.dedupWindowMs) : []),
    ...(isDropping ? retention(use, spec.retention) : []),
  ]
}

function difference({ asked, name }: StreamUse, there: StreamSpec): Check[] {
  const rows: readonly (readonly [string, number | undefined, number | undefined, boolean])[] = [
    ['partitions', asked.partitions, there.partitions, asked.partitions !== undefined],
    ['replicas', asked.replicas, there.replicas, asked.replicas !== undefined],
    ['dedupWindowMs', asked.dedupWindowMs, there.dedupWindowMs, asked.dedupWindowMs !== undefined],
    ...(['ageMs', 'bytes', 'records'] as const).map(
      bound =>
        [
          `retention.${bound}`,
          asked.retention?.[bound],
          there.retention[bound],
          asked.retention !== undefined,
        ] as const,
    ),
  ]
  const differences = rows
    .filter(([, wanted, is, isAsked]) => isAsked && wanted !== is)
    .map(([setting, wanted, is]) => `${setting} ${is ?? 'none'} where ${wanted ?? 'none'} is asked for`)
  if (differences.length === 0) return []
  return [
    {
      level: 'wrong',
      check: 'definition',
      what: differences.join(', and '),
      means: 'what uses it will not start: STREAM_DIFFERS',
      mend: `change the definition, or the stream "${name}" on the log, so that both say the same`,
    },
  ]
}

function window(ms: number): Check[] {
  const check = 'dedup window'
  const what = `ids are known for ${spanInWords(ms)}`
  if (ms < WINDOW_MIN_MS) {
    const means = 'P2: repeats of outputs could not be kept out, so a pipeline refuses to write there: BAD_OPTION'
    return [{ level: 'wrong', check, what, means, mend: 'make it with a dedupWindow of 20 seconds' }]
  }
  if (ms < WINDOW_USUAL_MS) {
    const means = `P2: an output may stand there twice when bytes of an owner stay on the way for more than ${spanInWords(ms / 2)}`
    return [{ level: 'weak', check, what, means, mend: '20 seconds are usual' }]
  }
  if (ms > WINDOW_LONG_MS) {
    const means = 'the log remembers every id for so long; on a NATS server that is about 100 bytes of memory each'
    return [{ level: 'weak', check, what, means, mend: 'a few minutes are enough for any repeat of a pipeline' }]
  }
  return [{ level: 'ok', check, what }]
}

function retention({ roles }: StreamUse, bounds: Retention): Check[] {
  const check = 'retention'
  const what = dropsInWords(bounds)
  if (what === undefined) return [{ level: 'ok', check, what: 'nothing is dropped' }]
  const checks: Check[] = []
  const drops = { check, what }
  if (roles.includes('ledger')) {
    const means = 'P1, P6: entries that a partition rests on will be gone, and the partition halts'
    checks.push({ ...drops, level: 'wrong', means, mend: 'take the bounds away' })
  }
  if (roles.includes('source')) {
    const means = 'P1: what a pipeline has not read by then is gone, and its partition halts with OVERRUN'
    checks.push({ ...drops, level: 'weak', means, mend: 'keep records for longer than a pipeline may be down' })
  }
  if (roles.includes('target')) {
    const isLong = bounds.ageMs !== undefined && bounds.ageMs >= OUTAGE_MS && onlyAge(bounds)
    const means =
      'P2: an output that is dropped before its owner knows that it was stored may be written again; readers that come later miss it'
    const mend = `keep outputs for longer than the dedup window and the longest outage, ${spanInWords(OUTAGE_MS)} or more`
    checks.push(isLong ? { ...drops, level: 'ok' } : { ...drops, level: 'weak', means, mend })
  }
  if (roles.includes('dead letters')) {
    const means = 'P7: letters that nobody has looked at by then are lost'
    checks.push({ ...drops, level: 'weak', means, mend: 'keep them until somebody has looked' })
  }
  return checks
}

function onlyAge({ bytes, records }: Retention): boolean {
  return bytes === undefined && records === undefined
}

function dropsInWords({ ageMs, bytes, records }: Retention): string | undefined {
  const bounds = [
    ageMs !== undefined && `what is older than ${spanInWords(ageMs)}`,
    bytes !== undefined && `what is beyond ${sizeInWords(bytes)}`,
    records !== undefined && `what is beyond ${countInWords(records, 'record')}`,
  ].filter(bound => bound !== false)
  return bounds.length === 0 ? undefined : `${bounds.join(', and ')} is dropped, read or not`
}
