/** What is found of a server and of the account, each from plain facts. */
import type { JetStreamAccountStats, JetStreamUsageAccountLimits } from '@nats-io/jetstream'
import type { Finding } from '../examiner.js'
import { countInWords, sizeInWords, spanInWords } from '../in-words.js'
import type { Verdict } from './self-test.js'

/** What a server says of itself when one connects. */
export interface ServerFacts {
  readonly version: string
  /** Its address, without secrets. */
  readonly server: string
  readonly payloadMax: number
  /** Undefined where it stands alone. */
  readonly cluster: string | undefined
  /** How long an answer takes; undefined when it could not be measured. */
  readonly roundTripMs: number | undefined
}

const SLOW_MS = 50
/** What entries and outputs are cut to, or must fit into; below this every entry comes in many parts. */
const PAYLOAD_SMALL = 64 * 1024

export function checksOfServer({ version, server, payloadMax, cluster, roundTripMs }: ServerFacts): Finding[] {
  const where = `nats-server ${version} at ${server}${cluster === undefined ? '' : `, of cluster "${cluster}"`}`
  return [versionCheck(version, where), ...tripCheck(roundTripMs), payloadCheck(payloadMax)]
}

function versionCheck(version: string, what: string): Finding {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(part => Number.parseInt(part, 10) || 0)
  const check = 'server'
  const mend = 'upgrade the servers, to 2.10.23 or newer'
  if (major === 2 && minor < 10) {
    const means =
      'P4, P6: when the storage of the account runs full it may forget which record of a partition was the last; purged room comes back only at a restart; the disk is written once a minute'
    return { level: 'weak', check, what, means, mend }
  }
  if (major === 2 && minor === 10 && patch >= 20 && patch <= 22) {
    const means = 'P6: this version could lose a whole replicated stream when a server process was killed'
    return { level: cluster(what) ? 'wrong' : 'weak', check, what, means, mend }
  }
  return { level: 'ok', check, what }
}

function cluster(what: string): boolean {
  return what.includes(', of cluster ')
}

function tripCheck(ms: number | undefined): Finding[] {
  if (ms === undefined) return []
  const what = `an answer takes ${ms < 10 ? Math.round(ms * 10) / 10 : Math.round(ms)} ms`
  if (ms < SLOW_MS) return [{ level: 'ok', check: 'round trip', what }]
  const means = 'a quiet partition commits in about one such trip and writes its outputs in another'
  return [{ level: 'weak', check: 'round trip', what, means, mend: 'run nodes near their servers' }]
}

function payloadCheck(bytes: number): Finding {
  const check = 'max payload'
  const what = `records of up to ${sizeInWords(bytes)}`
  if (bytes >= PAYLOAD_SMALL) return { level: 'ok', check, what }
  const means =
    'larger records and dead letters are refused or cut, and each entry of a ledger is written in many parts'
  return { level: 'weak', check, what, means, mend: 'raise max_payload on the servers; 1 MB is their default' }
}

/** What the self-test gave, or that there is nothing yet to test it on. */
export function selfTestCheck(verdict: Verdict | 'no bucket' | { readonly unsafe: string }): Finding {
  const check = 'compare-and-set'
  if (typeof verdict === 'object') {
    const means = 'P1, P2, P4: two owners could commit, and nothing else holds; no node starts there: UNSAFE_SERVER'
    const mend = 'connect to JetStream itself, without an import, export or proxy between that drops headers'
    return { level: 'wrong', check, what: verdict.unsafe, means, mend }
  }
  const means = 'P1, P2, P4 rest on it'
  switch (verdict) {
    case 'safe':
      return { level: 'ok', check, what: 'a write that expects another position is refused, and a repeat is known' }
    case 'no bucket':
      return { level: 'ok', check, what: 'not tried: nothing is here yet; the first who makes a stream tries it' }
    case 'untested':
      return {
        ...{ level: 'unknown', check, what: 'this user may not try it, or the log is full', means },
        mend: 'let a user ask who may publish "$KV.stream-node.probe"',
      }
    case 'away':
      return { level: 'unknown', check, what: 'the server gave no answer to it', means, mend: 'ask again' }
  }
}

/** How full the account is, by what bounds it. */
export function accountChecks(account: JetStreamAccountStats): Finding[] {
  const tiers = Object.entries(account.tiers ?? {}).filter(([, tier]) => tier !== undefined)
  const parts: readonly (readonly [string, JetStreamUsageAccountLimits])[] =
    tiers.length === 0
      ? [['', account]]
      : tiers.map(([name, tier]) => [` with ${name.slice(1)} copies`, tier as JetStreamUsageAccountLimits])
  return parts.flatMap(([name, { storage, memory, streams, consumers, limits }]) => [
    bounded(`file storage${name}`, storage, limits.max_storage, sizeInWords),
    ...(memory > 0 ? [bounded(`memory storage${name}`, memory, limits.max_memory, sizeInWords)] : []),
    bounded(`streams${name}`, streams, limits.max_streams, count => countInWords(count, 'stream')),
    bounded(`consumers${name}`, consumers, limits.max_consumers, count => countInWords(count, 'consumer')),
  ])
}

const NEARLY = 0.8

function bounded(thing: string, used: number, most: number, words: (amount: number) => string): Finding {
  const check = thing
  if (most < 0) return { level: 'ok', check, what: `${words(used)} in use; the account sets no bound` }
  const what = `${words(used)} of ${words(most)} in use`
  const mend = 'drop what is not needed, or raise the limit of the account'
  if (used >= most) {
    return { level: 'wrong', check, what, means: 'nothing more is stored or made: LOG_FULL, and partitions wait', mend }
  }
  if (used < most * NEARLY) return { level: 'ok', check, what }
  return { level: 'weak', check, what, means: 'once it is full nothing more is stored or made: LOG_FULL', mend }
}

/** What no ordinary user is told over NATS. */
export function hiddenChecks(version: string): Finding[] {
  const sync: Finding = {
    level: 'unknown',
    check: 'sync',
    what: 'how often the server writes to its disk is told to no client',
    means: 'what was acknowledged since may be lost with the power; 2 minutes unless sync_interval is set',
    mend: 'look for sync_interval in the configuration of the servers, or in /jsz of their monitoring port',
  }
  const disk: Finding = {
    level: 'unknown',
    check: 'disk',
    what: "the server's own limits and its free disk are told to no client",
    means: 'once it is full nothing more is stored: LOG_FULL, and partitions wait',
    mend: 'look at max_file_store in the configuration of the servers, at /jsz of their monitoring port, and at the disk',
  }
  if (!/^2\.9\./.test(version)) return [sync, disk]
  const what = 'nats-server 2.9 writes to its disk once a minute, and cannot be told otherwise'
  const means = 'what was acknowledged since may be lost with the power'
  return [{ level: 'weak', check: 'sync', what, means, mend: 'upgrade the servers, or keep several copies' }, disk]
}

/** A moment by the clock of the server, and by ours just before and just after. */
export interface Moment {
  readonly server: number
  readonly before: number
  readonly after: number
}

const CLOCKS_APART_MS = 1000

export function clockCheck(moment: Moment | undefined): Finding {
  const check = 'clock'
  if (moment === undefined) {
    const what = 'the server did not say what time it has'
    return { level: 'unknown', check, what, mend: 'compare the clocks, or ask again once there is a stream' }
  }
  const { server, before, after } = moment
  const apart = Math.max(0, before - server, server - after)
  if (apart < CLOCKS_APART_MS) {
    return {
      level: 'ok',
      check,
      what: `as that of this machine, within ${spanInWords(Math.max(1, after - before + apart))}`,
    }
  }
  return {
    level: 'weak',
    check,
    what: `the server's clock is ${spanInWords(apart)} ${server < before ? 'behind' : 'ahead of'} that of this machine`,
    means:
      'no promise rests on clocks; but records without a time of their own, retention by age and "--from <time>" go by that of the server',
    mend: 'set both by NTP',
  }
}
