/**
 * The steps of a stage put together in one partition, from the end to the start: runs of RxJS operators as segments,
 * operators of ours started once with their tables.
 */
import { DefinitionError } from '../errors.js'
import { definitionOf, type OperatorDefinition, type Push, type Seat } from '../operators/operator.js'
import type { Tables } from '../state/tables.js'
import { doubted } from './doubt.js'
import type { Stage } from './plan.js'
import { Segment, type SegmentSteps, type Trace } from './segment.js'

/** What a chain is built from. */
export interface ChainParts {
  readonly stage: Stage
  readonly tables: Tables
  readonly trace: Trace
  readonly watermark: () => number
  /** Takes what comes out at the end. */
  readonly give: Push<unknown>
  /** Looks for steps of RxJS that remember, at a multiple of the cost. */
  readonly doubts: boolean
}

export class Chain {
  /** Takes a record's value. */
  readonly push: Push<unknown>
  readonly #segments: Segment[] = []
  readonly #begins: (() => void)[] = []
  readonly #ends: { readonly step: number; readonly where: string; readonly then: () => void }[] = []
  readonly #trace: Trace

  /** Throws a `DefinitionError` when a step cannot be set up. */
  constructor({ stage, tables, trace, watermark, give, doubts }: ChainParts) {
    this.#trace = trace
    const { steps } = stage
    const seats = seatsOf(stage)
    let next = give
    for (let end = steps.length; end > 0;) {
      const ours = definitionOf(steps[end - 1])
      if (ours !== undefined) {
        end -= 1
        next = this.#started(ours, next, { stage, tables, watermark, step: end, ...(seats[end] as Named) })
        continue
      }
      let start = end
      while (start > 0 && definitionOf(steps[start - 1]) === undefined) start -= 1
      const called = steps.slice(start, end).map((_, index) => calledIn(stage, start + index))
      const run = { operators: steps.slice(start, end), called, of: `pipeline "${stage.pipeline}"` }
      const { segment, push } = doubts ? doubted(run, next, trace) : trusted(run, next, trace)
      this.#segments.push(segment)
      next = push
      end = start
    }
    this.push = next
    checkGone(tables, stage.pipeline, seats)
    this.#ends.sort((a, b) => a.step - b.step)
    tables.settle()
  }

  /** What operators do before the first record of a turn. */
  begin(): void {
    for (const then of this.#begins) then()
  }

  /** What operators do at the end of a turn; they may give values. */
  end(): void {
    for (const { where, then } of this.#ends) {
      try {
        then()
      } catch (thrown) {
        this.#trace.where ??= where
        throw thrown
      }
    }
  }

  /** What is wrong when a step still waits for something at the end of a turn. */
  waiting(): DefinitionError | undefined {
    return this.#segments.find(segment => segment.waits)?.refuseWaiting()
  }

  stop(): void {
    for (const segment of this.#segments) segment.stop()
  }

  #started(
    operator: OperatorDefinition<unknown, unknown>,
    next: Push<unknown>,
    { stage, tables, watermark, step, name }: Named & Pick<ChainParts, 'stage' | 'tables' | 'watermark'> & Step,
  ): Push<unknown> {
    const where = `${calledIn(stage, step)} of pipeline "${stage.pipeline}"`
    const named = (table: string | undefined) => (table === undefined ? name : `${name}.${table}`)
    const seat: Seat = {
      where,
      table: table => tables.table(named(table)),
      scopedTable: table => tables.scopedTable(named(table)),
      atTurnBegin: then => this.#begins.push(then),
      atTurnEnd: then => this.#ends.push({ step, where, then }),
      watermark,
    }
    checkKept(tables, name, operator.keeps, where)
    const push = operator.start(seat, next)
    const trace = this.#trace
    return value => {
      try {
        push(value)
      } catch (thrown) {
        trace.where ??= where
        throw thrown
      }
    }
  }
}

/** Rows that an operator of another make has left would be misread in silence. */
function checkKept(tables: Tables, name: string, keeps: string, where: string): void {
  const makes = tables.table<string>('makes')
  const kept = makes.get(name)
  if (kept === undefined) makes.set(name, keeps)
  else if (kept !== keeps) {
    const what = `${where} keeps (${keeps}), and the ledger holds what it kept before: (${kept})`
    throw differs(what)
  }
}

/** Those behind a step that is gone would take its rows for their own; the rows of the last would stay for ever. */
function checkGone(tables: Tables, pipeline: string, seats: readonly (Named | undefined)[]): void {
  const names = new Set(seats.map(seat => seat?.name))
  for (const [name] of tables.table<string>('makes').entries()) {
    if (names.has(name)) continue
    const gone = name.replace(/-(\d+)$/, ' number $1')
    throw differs(`pipeline "${pipeline}" has no ${gone} now, and the ledger holds what that one kept`)
  }
}

function differs(what: string): DefinitionError {
  return new DefinitionError(
    'PIPELINE_DIFFERS',
    what,
    'give the changed pipeline another name, begin it anew by "stream-node reset", or change it back',
  )
}

interface Named {
  readonly name: string
}
interface Step {
  readonly step: number
}

function trusted(steps: SegmentSteps, next: Push<unknown>, trace: Trace) {
  const segment = new Segment(steps, next, trace)
  return { segment, push: segment.push }
}

function calledIn({ names }: Stage, step: number): string {
  return `step ${step + 1} (${names[step]})`
}

/**
 * Where each operator of ours has its tables: by name and count among those of its name, so that steps of RxJS can come
 * and go without taking its memory away.
 */
function seatsOf({ steps }: Stage): (Named | undefined)[] {
  const counts = new Map<string, number>()
  return steps.map(step => {
    const ours = definitionOf(step)
    if (ours === undefined) return undefined
    const count = (counts.get(ours.name) ?? 0) + 1
    counts.set(ours.name, count)
    return { name: `${ours.name}-${count}` }
  })
}
