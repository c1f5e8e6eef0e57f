/** Looks whether a server and its streams are fit for what is asked of them. All it writes is the self-test. */
import type { StreamInfo } from '@nats-io/jetstream'
import { DefinitionError, UnavailableError } from '../../errors.js'
import type { Bucket } from '../bucket.js'
import type { Examiner, Finding, SignalUse, StreamUse } from '../examiner.js'
import { checksOf, NOT_YET, type Check } from '../stream-checks.js'
import { openBucket } from './bucket.js'
import { NOTES_BUCKET } from './floors.js'
import { needsOf, permissionChecks, type Granted } from './granted.js'
import { infoOf, lastOf } from './leader.js'
import type { Link } from './link.js'
import { PROBE, testServer } from './self-test.js'
import { accountChecks, checksOfServer, clockCheck, hiddenChecks, selfTestCheck, type Moment } from './server-checks.js'
import { checksOfInfo, dropsOld } from './stream-facts.js'
import { specOf } from './streams.js'
import type { Writer } from './writer.js'

const BUCKET_STREAM = `KV_${NOTES_BUCKET}`
const USER_INFO = '$SYS.REQ.USER.INFO'
const USER_INFO_MS = 1000
const TRIPS = 5

/** A stream as it was found: there, not there, or not to be looked at. */
type Found = { readonly info: StreamInfo | undefined } | { readonly denied: string }

export class JetStreamExaminer implements Examiner {
  readonly #link: Link
  readonly #writer: Writer

  constructor(link: Link, writer: Writer) {
    this.#link = link
    this.#writer = writer
  }

  async examine(uses: readonly StreamUse[], signals: readonly SignalUse[]): Promise<readonly Finding[]> {
    const roundTripMs = await this.#roundTripMs()
    const bucket = await this.#find(BUCKET_STREAM)
    const tested = await this.#selfTest('info' in bucket && bucket.info === undefined)
    const found = new Map<string, Found>([[BUCKET_STREAM, bucket]])
    for (const use of uses) found.set(nameOf(use), await this.#find(nameOf(use)))
    const { version, server, payloadMax, nc } = this.#link
    return [
      ...checksOfServer({ version, server, payloadMax, roundTripMs, cluster: nc.info?.cluster }),
      tested.finding,
      ...(await this.#account()),
      ...hiddenChecks(version),
      clockCheck(tested.moment ?? (await this.#moment(found))),
      ...(await this.#permissions(uses, signals, found)),
      ...bucketChecks(bucket),
      ...uses.flatMap(use => {
        const checks = this.#checksOf(use, found.get(nameOf(use)) as Found)
        return checks.map(check => ({ ...check, stream: use.name }))
      }),
    ]
  }

  bucket(name: string): Promise<Bucket | undefined> {
    return openBucket(this.#link, this.#writer, { name }, false)
  }

  /** The shortest of some: others had to wait for something else. */
  async #roundTripMs(): Promise<number | undefined> {
    const { nc, tools } = this.#link
    let shortest: number | undefined
    for (let times = 0; times < TRIPS; times++) {
      const began = tools.clock.elapsed()
      const came = await nc.flush().then(
        () => true,
        () => false,
      )
      if (came) shortest = Math.min(shortest ?? Infinity, tools.clock.elapsed() - began)
    }
    return shortest
  }

  async #find(name: string): Promise<Found> {
    try {
      return { info: await infoOf(this.#link, name, `look at stream "${name}"`) }
    } catch (error) {
      return { denied: forbidden(error) }
    }
  }

  /** Tries the server out, and leaves no entry where none was; gives a moment by its clock too. */
  async #selfTest(isNew: boolean): Promise<{ readonly finding: Finding; readonly moment?: Moment }> {
    if (isNew) return { finding: selfTestCheck('no bucket') }
    const link = this.#link
    const last = () =>
      lastOf(link, BUCKET_STREAM, PROBE).then(
        message => ({ message }),
        () => undefined,
      )
    const there = await last()
    try {
      const before = link.tools.clock.now()
      const verdict = await testServer(link, this.#writer)
      const after = link.tools.clock.now()
      const finding = selfTestCheck(verdict)
      const written = verdict === 'safe' ? (await last())?.message : undefined
      // What the test writes in passing may have been refused, and an older entry says nothing of now.
      if (written === undefined || written.seq === there?.message?.seq) return { finding }
      return { finding, moment: { server: Date.parse(written.time), before, after } }
    } catch (error) {
      if (!(error instanceof DefinitionError)) throw error
      return { finding: selfTestCheck({ unsafe: error.message }) }
    } finally {
      if (there !== undefined && there.message === undefined) {
        await link.jsm.streams.purge(BUCKET_STREAM, { filter: PROBE }).catch(() => {})
      }
    }
  }

  async #account(): Promise<Finding[]> {
    try {
      return accountChecks(await this.#link.call('ask for the account', jsm => jsm.getAccountInfo()))
    } catch (error) {
      const what = `the limits of the account cannot be read: ${forbidden(error)}`
      const mend = `let a user ask who may publish "${this.#link.api}.INFO"`
      return [{ level: 'unknown', check: 'account', what, mend }]
    }
  }

  /** A moment by the server's clock, which servers from 2.10 on tell with each stream. */
  async #moment(found: ReadonlyMap<string, Found>): Promise<Moment | undefined> {
    const name = [...found].find(([, one]) => 'info' in one && one.info?.ts !== undefined)?.[0]
    if (name === undefined) return undefined
    const { clock } = this.#link.tools
    const before = clock.now()
    const one = await this.#find(name)
    const after = clock.now()
    const ts = 'info' in one ? one.info?.ts : undefined
    return ts === undefined ? undefined : { server: Date.parse(ts), before, after }
  }

  async #permissions(
    uses: readonly StreamUse[],
    signals: readonly SignalUse[],
    found: ReadonlyMap<string, Found>,
  ): Promise<Finding[]> {
    const there = (stream: string) => {
      const one = found.get(stream)
      return one !== undefined && !('info' in one && one.info === undefined)
    }
    const inbox = this.#link.dial.connect.inboxPrefix ?? '_INBOX'
    return permissionChecks(needsOf({ uses, signals, there, api: this.#link.api, inbox }), await this.#granted())
  }

  /** What the server says that this user may do; undefined when it does not say. */
  async #granted(): Promise<Granted | undefined> {
    // That it is forbidden is what the finding says.
    const stop = this.#link.onDenied(subject => subject === USER_INFO)
    try {
      const answer = await this.#link.nc.request(USER_INFO, '', { timeout: USER_INFO_MS })
      const { data } = answer.json<{ data?: { permissions?: Granted } }>()
      return data === undefined ? undefined : (data.permissions ?? {})
    } catch {
      return undefined
    } finally {
      stop()
    }
  }

  #checksOf(use: StreamUse, found: Found): Check[] {
    const name = nameOf(use)
    if ('denied' in found) {
      const means = 'a node of this user cannot open it'
      return [{ level: 'wrong', check: 'stream', what: found.denied, means }]
    }
    const { info } = found
    if (info !== undefined) {
      const spec = specOf(info.config)
      if (use.asked.source === undefined && spec.source !== undefined) return [none(info)]
      // Of others' streams only what we read of them is of interest, and that is one partition.
      const there = use.asked.source === undefined ? spec : { ...spec, partitions: 1 }
      return [...checksOfInfo(use, info, this.#link.payloadMax), ...checksOf(asMade(use), there, dropsOld(info))]
    }
    if (use.asked.source === undefined) {
      return [{ level: 'ok', check: 'stream', what: NOT_YET }]
    }
    const what = `there is no JetStream stream "${name}" to read`
    return [{ level: 'wrong', check: 'stream', what, means: 'what reads it will not start', mend: 'check its name' }]
  }
}

/** The server remembers ids no longer than it keeps records, so it makes the window no longer than that. */
function asMade(use: StreamUse): StreamUse {
  const { dedupWindowMs, retention } = use.asked
  if (dedupWindowMs === undefined || retention?.ageMs === undefined) return use
  return { ...use, asked: { ...use.asked, dedupWindowMs: Math.min(dedupWindowMs, retention.ageMs) } }
}

/** What stands under the name of a stream of ours, and is none. */
function none({ config }: StreamInfo): Check {
  const what = `none of ours: ${config.mirror === undefined ? `its subjects are ${config.subjects.join(', ')}` : 'a mirror'}`
  const means = 'what uses it will not start: STREAM_DIFFERS'
  const mend = 'choose another name, or read it as a source of others'
  return { level: 'wrong', check: 'definition', what, means, mend }
}

/** The name on the server. */
function nameOf({ name, asked }: StreamUse): string {
  return asked.source?.stream ?? name
}

/** The bucket of definitions and witnesses is a stream too, and worth no more than that. */
function bucketChecks(found: Found): Finding[] {
  if (!('info' in found) || found.info === undefined) return []
  const use: StreamUse = { name: NOTES_BUCKET, roles: [], asked: {} }
  const checks = checksOfInfo(use, found.info, 0).filter(({ check }) => check !== 'retention' && check !== 'room')
  return checks.map(check => ({ ...check, stream: `bucket ${NOTES_BUCKET}` }))
}

/** What the log forbids, in its words; anything else is thrown on when the log is away. */
function forbidden(error: unknown): string {
  if (error instanceof UnavailableError) throw error
  if (error instanceof DefinitionError) return error.message
  throw error
}
