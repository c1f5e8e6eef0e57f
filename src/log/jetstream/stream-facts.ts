/** What is found of a JetStream stream that no other kind of log has: its storage, its copies, its odder settings. */
import { DiscardPolicy, RetentionPolicy, StorageType, type StreamInfo } from '@nats-io/jetstream'
import type { StreamUse } from '../examiner.js'
import { sizeInWords, countInWords } from '../in-words.js'
import type { Check } from '../stream-checks.js'

/** What is found of a stream that is there. `payloadMax`: the largest record the server takes. */
export function checksOfInfo(use: StreamUse, info: StreamInfo, payloadMax: number): Check[] {
  return [
    ...storage(info),
    copies(info),
    ...lagging(info),
    ...policies(use, info),
    ...perSubject(use, info),
    ...sizes(use, info, payloadMax),
    ...fullness(info),
  ]
}

/** Whether the stream drops records for want of room, instead of refusing new ones. Age drops in any case. */
export function dropsOld({ config }: StreamInfo): boolean {
  return config.discard === DiscardPolicy.Old || config.max_age > 0
}

function storage({ config }: StreamInfo): Check[] {
  // Older servers, and clients, leave out what is as usual.
  const { storage, persist_mode: persist } = config as { storage: string; persist_mode?: string }
  const check = 'storage'
  if (storage === StorageType.Memory) {
    const means =
      'P1, P6: all of it is gone when the server ends, however well it ends; a pipeline that rests on it halts'
    return [{ level: 'wrong', check, what: 'kept in memory', means, mend: 'make it anew with file storage' }]
  }
  if (persist === 'async') {
    const means = 'P1, P6: records are acknowledged before they are written, so that a kill of the server loses some'
    return [{ level: 'wrong', check, what: 'written behind its acknowledgements', means, mend: 'make it anew' }]
  }
  return [{ level: 'ok', check, what: 'kept in files' }]
}

function copies({ config: { num_replicas: count } }: StreamInfo): Check {
  const check = 'replicas'
  if (count > 1) {
    const means =
      'a majority of the servers must be up; all of them losing power at once may cost minutes, unless they sync always'
    return { level: 'ok', check, what: `${count} copies`, means }
  }
  return {
    ...{ level: 'weak', check, what: 'one copy' },
    means:
      'P6: a disk that breaks takes all of it; a machine that loses power up to 2 minutes of it, unless the server syncs always. It is noticed, and the partition halts',
    mend: 'on a cluster keep 3, when the stream is made or by "nats stream edit --replicas 3"; else copy the store',
  }
}

function lagging({ cluster }: StreamInfo): Check[] {
  const check = 'copies'
  if (cluster?.replicas === undefined) return []
  if (cluster.leader === undefined || cluster.leader === '') {
    const means = 'nothing is stored and nothing is read there: partitions wait'
    return [{ level: 'wrong', check, what: 'no leader', means, mend: 'see that most of its servers are up' }]
  }
  const away = cluster.replicas.filter(({ offline, current }) => offline || !current)
  if (away.length === 0) return []
  const what = `copies that are not up to date: ${away.map(({ name }) => name).join(', ')}`
  const means = 'one more server that goes may stop it, or take what only that one has'
  return [{ level: 'weak', check, what, means, mend: 'bring these servers back, and let them catch up' }]
}

function policies({ roles }: StreamUse, { config }: StreamInfo): Check[] {
  const found: Check[] = []
  const wrong = (check: string, what: string, means: string, mend: string) =>
    found.push({ level: 'wrong', check, what, means, mend })
  const isWritten = roles.some(role => role !== 'source')
  if (config.retention !== RetentionPolicy.Limits) {
    const what = config.retention === RetentionPolicy.Workqueue ? 'a work queue' : 'kept by interest'
    wrong('policy', what, 'P1: what others have read, or nobody waits for, is gone from it', 'make it with limits')
  }
  if (config.no_ack === true) {
    const means = 'nobody hears that a record was stored: every write ends TIMED_OUT'
    wrong('acks', 'nothing is acknowledged', means, 'take no_ack away')
  }
  if (isWritten && (config.sealed as boolean | undefined) === true) {
    wrong('sealed', 'sealed', 'nothing more can be written to it', 'use another stream')
  }
  if (roles.includes('ledger') && (config.deny_purge as boolean | undefined) === true) {
    wrong('purge', 'it may not be purged', 'P5: its ledgers cannot clean themselves', 'take deny_purge away')
  }
  return found
}

/** A bound on each subject drops what is read, and what is not, just as the others do. */
function perSubject({ roles }: StreamUse, { config }: StreamInfo): Check[] {
  const most = config.max_msgs_per_subject
  if (!(most > 0)) return []
  const check = 'retention'
  const what = `what is beyond ${countInWords(most, 'record')} of a subject is dropped, read or not`
  if (roles.includes('ledger')) {
    const means = 'P1, P6: entries that a partition rests on will be gone, and the partition halts'
    return [{ level: 'wrong', check, what, means, mend: 'take max_msgs_per_subject away' }]
  }
  const means = 'P1: what a pipeline has not read by then is gone; P2: an output may be written again'
  return [{ level: 'weak', check, what, means, mend: 'take max_msgs_per_subject away' }]
}

function sizes({ roles }: StreamUse, { config }: StreamInfo, payloadMax: number): Check[] {
  const most = config.max_msg_size
  if (!(most > 0) || most >= payloadMax) return []
  const what = `records of up to ${sizeInWords(most)} are taken, and the server takes larger ones`
  const check = 'record size'
  if (roles.includes('ledger')) {
    const means = 'entries are as large as the server takes them: the partition ends at the first larger one'
    return [{ level: 'wrong', check, what, means, mend: 'take max_msg_size away' }]
  }
  const means = 'larger ones are refused: RECORD_TOO_LARGE'
  return [{ level: 'weak', check, what, means, mend: 'raise max_msg_size where records may be larger' }]
}

const NEARLY = 0.8

/** A stream that refuses new records when it is full. */
function fullness({ config, state }: StreamInfo): Check[] {
  if (config.discard !== DiscardPolicy.New) return []
  const rows: readonly (readonly [number, number, string])[] = [
    [state.bytes, config.max_bytes, `${sizeInWords(state.bytes)} of ${sizeInWords(config.max_bytes)}`],
    [state.messages, config.max_msgs, `${countInWords(state.messages, 'record')} of ${config.max_msgs}`],
  ]
  return rows
    .filter(([, most]) => most > 0)
    .map(([used, most, amount]) => {
      const what = `new records are refused once it is full: ${amount}`
      const means = 'LOG_FULL: whoever writes there waits'
      const mend = 'raise the bound, or purge what is not needed'
      const level = used >= most ? 'wrong' : used >= most * NEARLY ? 'weak' : 'ok'
      return level === 'ok' ? { level, check: 'room', what } : { level, check: 'room', what, means, mend }
    })
}
