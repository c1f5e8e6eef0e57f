/**
 * One operator of ours in one partition, without a pipeline around it: over real tables, with turns, undo and an ambient
 * record that a test drives.
 */
import { ambient, definitionOf, type Operator, type Push } from '../src/operators/operator.js'
import { Tables } from '../src/state/tables.js'

/** A value under a key, at a time. */
export interface Given<T> {
  readonly key: string
  readonly time: number
  readonly value: T
}

export class Seated<A, B> {
  readonly tables = new Tables()
  /** What came out in turns that were not undone, under which key and time. */
  readonly out: Given<B>[] = []
  watermark = -Infinity
  readonly #push: Push<A>
  readonly #begins: (() => void)[] = []
  readonly #ends: (() => void)[] = []
  #lateness: number

  /** The watermark is so far behind the highest time. */
  constructor(operator: Operator<A, B>, lateness = 0) {
    this.#lateness = lateness
    const definition = definitionOf(operator) as NonNullable<ReturnType<typeof definitionOf>>
    this.#push = definition.start(
      {
        where: `step 1 (${definition.name}) of pipeline "p"`,
        table: (name = 'rows') => this.tables.table(name),
        scopedTable: (name = 'scoped') => this.tables.scopedTable(name),
        atTurnBegin: then => this.#begins.push(then),
        atTurnEnd: then => this.#ends.push(then),
        watermark: () => this.watermark,
      },
      value => this.out.push({ key: ambient.key, time: ambient.time, value: value as B }),
    )
  }

  /** One turn over these records. */
  turn(...records: readonly Given<A>[]): this {
    return this.#inTurn(() => {
      for (const record of records) this.#walk(record)
      this.#end()
    })
  }

  /** One turn in which the records that are `bad` are walked, too, each to be undone at once. */
  turnWith(records: readonly (Given<A> & { readonly bad: boolean })[]): this {
    return this.#inTurn(() => {
      for (const record of records) this.#undoing(record.bad, () => this.#walk(record))
      this.#end()
    })
  }

  /** A turn that is undone as a whole, before or after its end. */
  undone(records: readonly Given<A>[], withEnd: boolean): this {
    return this.#inTurn(() =>
      this.#undoing(true, () => {
        for (const record of records) this.#walk(record)
        if (withEnd) this.#end()
      }),
    )
  }

  /** Pushes outside a turn. */
  pushNow(value: A): void {
    this.#push(value)
  }

  /** The values that came out. */
  values(): B[] {
    return this.out.map(({ value }) => value)
  }

  #inTurn(work: () => void): this {
    ambient.on = true
    try {
      for (const begin of this.#begins) begin()
      work()
      return this
    } finally {
      ambient.on = false
      this.tables.settle()
    }
  }

  #walk({ key, time, value }: Given<A>): void {
    Object.assign(ambient, { key, time })
    this.watermark = Math.max(this.watermark, time - this.#lateness)
    this.#push(value)
  }

  #undoing(undo: boolean, work: () => void): void {
    const before = { to: this.tables.savepoint(), out: this.out.length, watermark: this.watermark }
    work()
    if (!undo) return
    this.tables.undo(before.to)
    this.out.length = before.out
    this.watermark = before.watermark
  }

  #end(): void {
    for (const end of this.#ends) end()
  }
}
