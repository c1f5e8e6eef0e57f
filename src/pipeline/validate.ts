/**
 * The whole definition checked at once, before anything runs: everything that is wrong with it is told in one error,
 * each with its mend. Also reads what its steps are called.
 */
import { DefinitionError, messageOf } from '../errors.js'
import { definitionOf } from '../operators/operator.js'
import { probe } from '../operators/probe.js'
import { objectionTo } from '../operators/verdicts.js'
import { deadLettersName } from '../stream/dead-letters.js'
import { goodName } from '../stream/name.js'
import { isSink } from '../stream/sink.js'
import { isStream, settingsOf, type Stream } from '../stream/stream.js'
import type { Written, Warning } from './definition.js'

/** What else the look at a definition gave. */
export interface Checked {
  /** For each step what it is called: `map`. */
  readonly names: readonly string[]
  /** What cannot be judged, to be told once when it is run. */
  readonly warnings: readonly Warning[]
}

interface Fault {
  readonly code: 'BAD_PIPELINE' | 'BAD_NAME' | 'READ_ONLY_STREAM'
  readonly what: string
  readonly mend: string
}

/** For the names of its ledgers and its dead letters. */
const SPARE_LETTERS = 20

/** Throws a `DefinitionError` that lists all that is wrong; `BAD_PIPELINE` when that is more than one thing. */
export function checked(written: Written): Checked {
  const steps = written.steps.map(look)
  const faults = [
    ...nameFaults(written.name),
    ...sourceFaults(written.sources),
    ...letterFaults(written),
    ...steps.flatMap(({ faults }, index) =>
      faults.map(fault => ({ ...fault, what: `step ${index + 1} ${fault.what}` })),
    ),
    ...targetFaults(written.target, written.sources),
    ...sinkFaults(written),
  ]
  if (faults.length > 0) throw errorOf(written.name, faults)
  const unreadable = steps.flatMap(({ unreadable }, index) => (unreadable ? [index + 1] : []))
  return Object.freeze({
    names: Object.freeze(steps.map(({ name }) => name)),
    warnings: Object.freeze(unreadable.length === 0 ? [] : [cannotJudge(written.name, unreadable)]),
  })
}

function errorOf(name: string, faults: readonly Fault[]): DefinitionError {
  const [first, second] = faults as [Fault, Fault?]
  const where = `pipeline ${JSON.stringify(name)}`
  if (second === undefined) return new DefinitionError(first.code, `${where}: ${first.what}`, first.mend)
  const list = faults.map(({ what, mend }, index) => `\n  ${index + 1}. ${what}${mend && `; ${mend}`}`).join('')
  return new DefinitionError('BAD_PIPELINE', `${where} has ${faults.length} faults:${list}`, '')
}

function bad(what: string, mend: string): Fault {
  return { code: 'BAD_PIPELINE', what, mend }
}

function nameFaults(name: unknown): Fault[] {
  try {
    goodName(name, 'pipeline', SPARE_LETTERS)
    return []
  } catch (thrown) {
    return [{ code: 'BAD_NAME', what: messageOf(thrown), mend: '' }]
  }
}

function sourceFaults(sources: readonly unknown[]): Fault[] {
  if (sources.length === 0) return [bad('it has no source', "give from(...) a stream, as stream('clicks')")]
  const strangers = sources.flatMap((source, index) =>
    isStream(source) ? [] : [bad(`source ${index + 1} is ${given(source)}, which is no stream`, mendOfStream(source))],
  )
  const streams = sources.filter(source => isStream<unknown>(source))
  const twice = streams.filter((source, index) => streams.findIndex(({ name }) => name === source.name) < index)
  const repeats = [...new Set(twice.map(({ name }) => name))].map(name =>
    bad(`it reads stream "${name}" twice`, 'name it once: each of its records comes once'),
  )
  return [...strangers, ...repeats, ...countFaults(streams)]
}

function countFaults(streams: readonly Stream<unknown>[]): Fault[] {
  const [first] = streams
  return streams.flatMap(({ name, partitions }) => {
    if (first === undefined || partitions === first.partitions) return []
    const what = `stream "${first.name}" has ${first.partitions} partitions but "${name}" has ${partitions}`
    return [bad(`${what}, so they cannot be read together`, 'give both the same count')]
  })
}

function targetFaults(target: unknown, sources: readonly unknown[]): Fault[] {
  if (typeof target === 'function' || isSink(target)) return []
  if (!isStream(target)) return [bad(`its target is ${given(target)}, which is no stream`, mendOfStream(target))]
  const faults: Fault[] = []
  if (settingsOf(target).source !== undefined) {
    const what = `its target "${target.name}" reads a stream that others write, and is never written`
    faults.push({ code: 'READ_ONLY_STREAM', what, mend: 'write to a stream of your own' })
  }
  if (sources.some(source => isStream(source) && source.name === target.name)) {
    faults.push(bad(`it writes to its own source "${target.name}", and would never end`, 'write to another stream'))
  }
  return faults
}

function sinkFaults({ target, sinks }: Written): Fault[] {
  const listed: readonly unknown[] = Array.isArray(sinks) ? sinks : [sinks]
  if (listed.length > 0 && typeof target !== 'function') {
    return [
      bad(
        'it names sinks beside a target',
        'name those that a function chooses, as to(value => ..., { sinks: [...] })',
      ),
    ]
  }
  const strangers = listed.filter(one => !isSink(one)).map(given)
  const known = listed.filter(one => isSink(one))
  const twice = known.filter((sink, index) => known.findIndex(({ name }) => name === sink.name) < index)
  return [
    ...strangers.map(what => bad(`its sinks have ${what}, which is no sink`, "give sinks, as sink('rows', { write })")),
    ...twice.map(({ name }) => bad(`its sinks have two of the name "${name}"`, 'name it once')),
  ]
}

/** A record of these that fails would become another of them, without end; and nothing else belongs among them. */
function letterFaults({ name, sources, target }: Written): Fault[] {
  const isOwn = (one: unknown) => isStream(one) && one.name === deadLettersName(name)
  const faults: Fault[] = []
  if (sources.some(isOwn)) faults.push(bad('it reads its own dead letters', 'read them by a pipeline of another name'))
  if (isOwn(target)) faults.push(bad('it writes to the stream of its own dead letters', 'write to another stream'))
  return faults
}

interface Look {
  readonly name: string
  readonly unreadable: boolean
  readonly faults: readonly Fault[]
}

function look(step: unknown): Look {
  const ours = definitionOf(step)
  if (ours !== undefined) return { name: ours.name, unreadable: false, faults: [] }
  if (typeof step !== 'function') {
    const fault = bad(`is ${given(step)}, which is no operator`, 'give operators, such as filter(value => value.ok)')
    return { name: 'unknown', unreadable: false, faults: [fault] }
  }
  const probed = probe(step as Parameters<typeof probe>[0])
  const name = probed.names.join(' + ') || step.name || 'a function'
  const objections = probed.names.flatMap(name => objectionTo(name) ?? []).map(({ what, mend }) => bad(what, mend))
  const faults = 'wrong' in probed && objections.length === 0 ? [noOperator(step, probed.wrong)] : objections
  return { name, unreadable: probed.unreadable, faults }
}

/** Of a function that makes no Observable when it is applied to one. */
function noOperator({ name }: { readonly name: string }, gave: unknown): Fault {
  if (typeof gave === 'function') {
    const called = name === '' ? 'it' : `${name}(...)`
    return bad(`is the function ${name || 'that makes an operator'} itself, and no operator`, `call it: ${called}`)
  }
  // One of ours says itself where it was put.
  if (gave instanceof DefinitionError) return bad(`has a step of stream-node inside: ${gave.message}`, '')
  const got = gave instanceof Error ? `throws "${gave.message}"` : `gives ${given(gave)}`
  const mend = 'put a function of values into map(...), and give an operator what it takes'
  return bad(`is a function that ${got} instead of making an Observable`, mend)
}

function cannotJudge(name: string, steps: readonly number[]): Warning {
  const which = steps.length === 1 ? `step ${steps[0]} is` : `steps ${steps.join(', ')} are`
  const what = `pipeline "${name}": ${which} of RxJS, but it cannot be read which operators, for rxjs is bundled`
  return { what, mend: 'see that none remembers or waits' }
}

function mendOfStream(instead: unknown): string {
  if (typeof instead === 'string') return `give stream(${JSON.stringify(instead)})`
  const flows = typeof instead === 'object' && instead !== null && 'as' in instead && 'pipe' in instead
  return flows ? "give the stream that it is written to, as flow.as('name')" : "give a stream, as stream('clicks')"
}

/** What was given instead, in words. */
function given(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'string') return `the text ${JSON.stringify(value)}`
  if (typeof value === 'function') return value.name === '' ? 'a function' : `the function ${value.name}`
  if (typeof value !== 'object') return `a ${typeof value}`
  if (Array.isArray(value)) return 'an array'
  if ('then' in value) return 'a promise'
  if ('subscribe' in value) return 'an Observable'
  if ('kind' in value && (value.kind === 'pipeline' || value.kind === 'sink')) return `a ${value.kind}`
  if ('pipe' in value && 'as' in value) return 'a flow'
  return 'an object'
}
