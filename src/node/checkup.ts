/**
 * Is a log fit for the pipelines that are to run on it? What the log says of itself and of their streams, and what their
 * definitions, ledgers and dead letters say. Nothing is made, and nothing changed.
 */
import { DefinitionError, IntegrityError, UnavailableError } from '../errors.js'
import type { Bucket } from '../log/bucket.js'
import type { Finding, SignalUse, StreamRole, StreamUse } from '../log/examiner.js'
import { countInWords } from '../log/in-words.js'
import type { LogStream } from '../log/log.js'
import type { Ports } from '../log/ports.js'
import { START } from '../log/record.js'
import type { Definition } from '../pipeline/definition.js'
import { plan, type Stage } from '../pipeline/plan.js'
import { unseal } from '../state/message.js'
import { decodeWitness, ledgerName, LEDGERS } from '../state/witness.js'
import { deadLettersName, isResolution, letterIn, pipelineOfLetters } from '../stream/dead-letters.js'
import { BUCKET, KeptStreams } from '../stream/kept.js'
import { settingsOf, type Stream } from '../stream/stream.js'

/**
 * Looks at the log for these pipelines; without any, at all that is there. What may not be looked at is a finding too:
 * it rejects only when the log is away.
 */
export async function checkup(ports: Ports, pipelines: readonly Definition[] | undefined): Promise<readonly Finding[]> {
  const examiner = await ports.examiner?.()
  if (examiner === undefined) return [SILENT]
  const stages = pipelines?.flatMap(one => plan(one))
  const barred: Finding[] = []
  const look = <T>(work: () => Promise<T>, otherwise: T) => unlessBarred(work, otherwise, barred)
  const bucket = await look(() => examiner.bucket(BUCKET), undefined)
  const places = await look(() => witnessed(bucket, stages), [])
  const uses = stages === undefined ? await look(() => usesOfAll(ports, bucket, places), []) : usesOf(stages)
  const found = [
    ...(await examiner.examine(uses, NODE_SIGNALS)),
    ...(stages === undefined || bucket === undefined ? [] : await look(() => definitions(bucket, stages), [])),
    ...(stages === undefined ? [] : await look(() => copies(ports, stages), [])),
    ...(stages ?? []).flatMap(edges),
    ...(await look(() => ledgers(ports, bucket, places, uses), [])),
    ...(await look(() => letters(ports, uses), [])),
  ]
  return [...found, ...barred]
}

/** What it gives; when it may not be looked at, or cannot be made sense of, that is a finding. */
async function unlessBarred<T>(work: () => Promise<T>, otherwise: T, barred: Finding[]): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof DefinitionError || error instanceof IntegrityError)) throw error
    const means = 'what can only be seen from there was not looked at'
    barred.push({ level: 'wrong', check: 'log', what: error.message, means })
    return otherwise
  }
}

/** What the verbs that ask nodes go over, as `docs/permissions.md` has it. */
export const NODE_SIGNALS: readonly SignalUse[] = [
  { may: 'subscribe', subject: '$SN.status' },
  { may: 'subscribe', subject: '$SN.status.ask' },
  { may: 'publish', subject: '$SN.status.answers.*' },
  ...['resume', 'letters'].flatMap(verb => [
    { may: 'subscribe', subject: `$SN.${verb}.ask` } as const,
    { may: 'publish', subject: `$SN.${verb}.answers.*` } as const,
  ]),
]

const SILENT: Finding = {
  level: 'unknown',
  check: 'log',
  what: 'this kind of log does not say how it is',
  mend: 'look at it by its own means',
}

/** What the definitions ask of streams, each stream once. */
function usesOf(stages: readonly Stage[]): StreamUse[] {
  const uses = new Map<string, StreamUse>()
  const add = (name: string, role: StreamRole, asked: StreamUse['asked']) => {
    const roles = uses.get(name)?.roles ?? []
    uses.set(name, { name, roles: roles.includes(role) ? roles : [...roles, role], asked })
  }
  for (const { pipeline, index, partitions, sources, targets, rules } of stages) {
    for (const source of sources) add(source.name, 'source', askedOf(source))
    for (const target of targets) add(target.name, 'target', askedOf(target))
    add(ledgerName(pipeline, index), 'ledger', { partitions, retention: {} })
    if (rules.onError.then === 'deadLetter') add(deadLettersName(pipeline), 'dead letters', { partitions })
  }
  return [...uses.values()]
}

function askedOf(stream: Stream<unknown>): StreamUse['asked'] {
  const { retention, replicas, dedupWindowMs, source } = settingsOf(stream)
  return {
    partitions: stream.partitions,
    ...(retention !== undefined && { retention }),
    ...(replicas !== undefined && { replicas }),
    ...(dedupWindowMs !== undefined && { dedupWindowMs }),
    ...(source !== undefined && { source }),
  }
}

/** All streams that are there or were defined. What one is for shows in its name, or it may be for anything. */
async function usesOfAll(
  { log }: Pick<Ports, 'log'>,
  bucket: Bucket | undefined,
  places: readonly Vouched[],
): Promise<StreamUse[]> {
  const uses = new Map<string, StreamUse>()
  const ledgers = new Set(places.map(({ ledger }) => ledger))
  for (const name of await log.names()) {
    const isLedger = ledgers.has(name) || /-\d+-ledger$/.test(name)
    const roles: readonly StreamRole[] = isLedger
      ? ['ledger']
      : pipelineOfLetters(name) !== undefined
        ? ['dead letters']
        : ['source', 'target']
    uses.set(name, { name, roles, asked: {} })
  }
  const kept = bucket && new KeptStreams(() => Promise.resolve(bucket))
  for (const name of (await kept?.names()) ?? []) {
    const { partitions, source } = (await kept?.find(name)) ?? {}
    if (source !== undefined) uses.set(name, { name, roles: ['source'], asked: { source } })
    else if (uses.has(name) && partitions !== undefined)
      uses.set(name, { ...(uses.get(name) as StreamUse), asked: { partitions } })
  }
  return [...uses.values()]
}

/** A ledger, by the stream that it stands in, and the key of its witness. */
interface Vouched {
  readonly ledger: string
  readonly partition: number
  readonly key: string
}

/** The ledgers that have a witness: of these stages, or all. */
async function witnessed(bucket: Bucket | undefined, stages: readonly Stage[] | undefined): Promise<Vouched[]> {
  const keys = (await bucket?.keys(LEDGERS)) ?? []
  return keys.flatMap(key => {
    const [, pipeline = '', stage, partition] = key.split('.')
    const isMeant = stages?.some(one => one.pipeline === pipeline && `${one.index}` === stage) ?? true
    return isMeant ? [{ ledger: ledgerName(pipeline, Number(stage)), partition: Number(partition), key }] : []
  })
}

/** Whether each stream is defined as it was when it was first used. */
async function definitions(bucket: Bucket, stages: readonly Stage[]): Promise<Finding[]> {
  const kept = new KeptStreams(() => Promise.resolve(bucket))
  const findings: Finding[] = []
  const verify = async (stream: Stream<unknown>, use: 'read' | 'write') => {
    const error = await thrownBy(async () => void (await kept.verify(stream, use)))
    if (error === undefined) return
    const means = 'a node with this definition will not start'
    findings.push({ level: 'wrong', check: 'definition', stream: stream.name, what: error.message, means })
  }
  for (const stream of new Set(stages.flatMap(({ sources }) => sources))) await verify(stream, 'read')
  for (const stream of new Set(stages.flatMap(({ targets }) => targets))) await verify(stream, 'write')
  return findings
}

/** What a pipeline writes to beside the streams that are known beforehand. */
function edges({ pipeline, choose, sinks }: Stage): Finding[] {
  const findings: Finding[] = sinks.map(({ name }) => {
    const what = `"${name}" is written after the commit, and again after a crash: once where it takes the ids of records`
    return { level: 'ok', check: 'sink', what }
  })
  if (choose === undefined) return findings
  const what = `pipeline "${pipeline}" chooses its targets by a function: which they are shows only when it runs`
  const mend = 'look without files, at all streams that are there'
  return [...findings, { level: 'unknown', check: 'targets', what, mend }]
}

/** Whether each ledger is worth as much as what it is made of. */
async function copies({ log }: Pick<Ports, 'log'>, stages: readonly Stage[]): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const { pipeline, index, sources } of stages) {
    const name = ledgerName(pipeline, index)
    const ledger = await log.find(name)
    if (ledger === undefined) continue
    for (const source of sources) {
      const { replicas = 1 } = (await log.find(settingsOf(source).source?.stream ?? source.name))?.spec ?? {}
      if (replicas <= ledger.spec.replicas) continue
      const there = ledger.spec.replicas === 1 ? 'one copy' : `${ledger.spec.replicas} copies`
      const what = `${there}, and its source "${source.name}" has ${replicas}`
      const means = 'P1, P6: what is lost with it cannot be read from the source again as it was'
      const mend = `give it as many copies: "nats stream edit ${name} --replicas ${replicas}"`
      findings.push({ level: 'weak', check: 'ledger copies', stream: name, what, means, mend })
    }
  }
  return findings
}

const HALTS = 'P6: the log lost what it had acknowledged; the partition halts when it is started, or has'
const RESTORE = 'restore the log as it was, or begin anew by "stream-node reset"'

/** Whether each ledger reaches as far as its witness says, and each that is there has one. */
async function ledgers(
  { log }: Pick<Ports, 'log'>,
  bucket: Bucket | undefined,
  places: readonly Vouched[],
  uses: readonly StreamUse[],
): Promise<Finding[]> {
  const findings: Finding[] = []
  const known = new Set(places.map(({ ledger, partition }) => `${ledger}/${partition}`))
  for (const { name } of uses.filter(({ roles }) => roles.includes('ledger'))) {
    const stream = await log.find(name)
    const own = places.filter(({ ledger }) => ledger === name)
    const faults = await Promise.all(own.map(one => ledgerFault(stream, bucket as Bucket, one)))
    for (let partition = 0; partition < (stream?.spec.partitions ?? 0); partition++) {
      if (known.has(`${name}/${partition}`) || (await stream?.last(partition)) === undefined) continue
      faults.push(`partition ${partition} has a ledger, and nothing vouches for it`)
    }
    const found = faults.filter(fault => fault !== undefined)
    for (const what of found) {
      findings.push({ level: 'wrong', check: 'ledger', stream: name, what, means: HALTS, mend: RESTORE })
    }
    if (found.length > 0 || own.length === 0) continue
    const what = `${countInWords(own.length, 'ledger')} as far as vouched for`
    findings.push({ level: 'ok', check: 'ledger', stream: name, what })
  }
  return findings
}

async function ledgerFault(
  stream: LogStream | undefined,
  bucket: Bucket,
  { partition, key }: Vouched,
): Promise<string | undefined> {
  // In this order: what is written between the two only makes the ledger longer.
  const where = `the ledger of partition ${partition}`
  try {
    const value = (await bucket.get(key))?.value
    if (value === undefined) return undefined
    const seen = decodeWitness(value, key)
    const last = await stream?.last(partition)
    if (last === undefined)
      return seen.number > 0 ? `${where} is gone, and had ${countInWords(seen.number, 'message')}` : undefined
    const { number, hash, incarnation } = unseal(last.payload, `the end of ${where}`)
    if (incarnation !== seen.incarnation) return `${where} is of another life than its witness`
    if (number < seen.number) return `${where} ends with message ${number}, and message ${seen.number} was acknowledged`
    return number === seen.number && hash !== seen.hash ? `${where} ends with another message than it had` : undefined
  } catch (error) {
    if (error instanceof IntegrityError) return error.message
    throw error
  }
}

/** How many dead letters of each pipeline nobody has decided upon. */
async function letters({ log }: Pick<Ports, 'log'>, uses: readonly StreamUse[]): Promise<Finding[]> {
  const findings: Finding[] = []
  for (const { name } of uses.filter(({ roles }) => roles.includes('dead letters'))) {
    const stream = await log.find(name)
    const open = stream && (await openLetters(stream))
    if (open === undefined) continue
    if (open === 0) findings.push({ level: 'ok', check: 'dead letters', stream: name, what: 'none waits' })
    else {
      const what = `${countInWords(open, 'dead letter')} ${open === 1 ? 'waits' : 'wait'} for a decision`
      const means = 'P7: these records changed nothing, and are kept'
      const mend = `look at them by "stream-node dlq ls ${pipelineOfLetters(name) ?? name}", then retry or drop them`
      findings.push({ level: 'weak', check: 'dead letters', stream: name, what, means, mend })
    }
  }
  return findings
}

async function openLetters(stream: LogStream): Promise<number | undefined> {
  const open = new Set<number>()
  try {
    for await (const { records } of stream.read({ after: START, untilEnd: true })) {
      for (const { payload, position } of records) {
        const letter = letterIn(payload)
        if (letter === undefined) continue
        if (isResolution(letter)) open.delete(letter.resolves)
        else open.add(position)
      }
    }
  } catch (error) {
    if (error instanceof UnavailableError) throw error
    // That it cannot be read is told where the stream is looked at.
    return undefined
  }
  return open.size
}

async function thrownBy(work: () => Promise<void>): Promise<Error | undefined> {
  try {
    await work()
    return undefined
  } catch (error) {
    if (error instanceof DefinitionError || error instanceof IntegrityError) return error
    throw error
  }
}
