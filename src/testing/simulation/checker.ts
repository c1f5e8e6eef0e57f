/**
 * Judges what came out of a pipeline by what went in, with a model of its own: nothing here is shared with the code
 * under test. The pipeline it knows is the one that every simulated seed and every real chaos runs: values that are not
 * multiples of five go on, doubled, and each tells how many came under its key so far, their sum, and a fold in which
 * their order shows. A second pipeline may take what comes out of the first, and does the same with the sums. Each step
 * also draws a number by chance and tells the one that was drawn before under its key, so that work which was done again
 * shows. Records that cannot be processed must have one dead letter each, and all else must be as if they had never been.
 */

/** A record that went in, in the order in which the input stream holds it. */
export interface Given {
  readonly id: string
  readonly key: string
  readonly value: number
  /** Absent for most. */
  readonly ill?: Ill
}

/**
 * What is wrong with a record. `poison`: a step of the first pipeline throws at it, whenever it is tried; `poison later`: one
 * of the second, at what came of it. `garbled`: its bytes are no value. `busy`: a step throws at it for a while.
 */
export type Ill = 'poison' | 'poison later' | 'garbled' | 'busy'

/** A record that came out. */
export interface Came {
  /** The id of the record that it came of. */
  readonly of: string
  readonly key: string
  readonly count: number
  readonly sum: number
  readonly fold: number
  /** Drawn when it was made. */
  readonly drawn: number
  /** What was drawn for the one before it under its key; 0 for the first. */
  readonly drawnBefore: number
  /** The id under which it was stored. */
  readonly id: string | undefined
}

/** What belongs into one stream of outputs. */
export interface OutputRules {
  readonly name: string
  /** Which pipeline writes it. */
  readonly by: 'first' | 'second'
  /** Which of its outputs belong into it. */
  readonly takes: (came: Pick<Came, 'count' | 'sum'>) => boolean
  /** Retention has dropped some: what is not stored is not lost, and readers begin in the middle. */
  readonly isTrimmed?: boolean
  /** The edge of what is promised: bytes were on their way for longer than ids are known. */
  readonly mayRepeatInStream?: boolean
}

/** One stream of outputs: as it is stored, and as a reader of ours sees it. */
export interface OutputStream extends OutputRules {
  readonly stored: readonly Came[]
  readonly read: readonly Came[]
}

/** A dead letter. */
export interface Letter {
  /** The id of the record that went in, and that it is about at last. */
  readonly of: string
  /** Place, size and bytes are those of the record that could not be processed. */
  readonly isTrue: boolean
  /** The id under which it was stored. */
  readonly id: string | undefined
}

/** The dead letters of one pipeline. */
export type LetterRules = Pick<OutputRules, 'name' | 'by' | 'mayRepeatInStream'>

export interface LetterStream extends LetterRules {
  readonly stored: readonly Letter[]
  readonly read: readonly Letter[]
}

export interface History {
  readonly given: readonly Given[]
  readonly outputs: readonly OutputStream[]
  readonly letters: readonly LetterStream[]
}

export const FINDING_KINDS = ['lost', 'duplicate', 'out of order', 'gap', 'wrong', 'torn', 'foreign'] as const
export type FindingKind = (typeof FINDING_KINDS)[number]

export interface Finding {
  readonly kind: FindingKind
  readonly what: string
}

/** Everything that is wrong; nothing when all is well. */
export function check({ given, outputs, letters }: History): readonly Finding[] {
  const checker = new Checker(outputs, letters)
  for (const one of given) checker.give(one)
  for (const { name, stored, read } of outputs) {
    for (const came of stored) checker.stored(name, came)
    for (const came of read) checker.read(name, came)
  }
  for (const { name, stored, read } of letters) {
    for (const letter of stored) checker.letterStored(name, letter)
    for (const letter of read) checker.letterRead(name, letter)
  }
  return checker.end()
}

/** How many outputs of the first pipeline must come; with fewer there is no need to look. */
export function outputsDue(given: readonly Given[], takes: OutputRules['takes']): number {
  const fold = new Fold('first')
  return given.filter(one => isGood(one) && takes(fold.next(one.id, one.key, one.value * 2))).length
}

/** The records that must have a dead letter, in the order of the input. */
export function lettersDue(given: readonly Given[], by: OutputRules['by']): Given[] {
  return given.filter(one => letterOf(one) === by)
}

export interface CheckerOptions {
  /**
   * How many outputs that have come in full each stream keeps in mind: a repeat of one that is forgotten is still found,
   * but called foreign. Default: all.
   */
  readonly keeps?: number
}

type Where = 'stored' | 'read'
type Find = (kind: FindingKind, what: string) => void

/**
 * The judge of a history that need not be in memory: it may be told of records and outputs as they come, each record
 * before what came of it, and keeps only what is still to come and a state for each key.
 */
export class Checker {
  /** The first thousand. */
  readonly #findings: Finding[] = []
  readonly #counts = new Map<FindingKind, number>()
  readonly #model = new Model()
  readonly #outputs: ReadonlyMap<string, Outputs>
  readonly #letters: ReadonlyMap<string, Letters>

  constructor(
    outputs: readonly OutputRules[],
    letters: readonly LetterRules[] = [],
    { keeps = Infinity }: CheckerOptions = {},
  ) {
    const find: Find = (kind, what) => {
      if (this.#findings.length < FINDINGS_MAX) this.#findings.push({ kind, what })
      this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1)
    }
    const past = { first: new Past(keeps, find), second: new Past(keeps, find) }
    this.#outputs = new Map(outputs.map(rules => [rules.name, new Outputs(rules, past[rules.by], keeps, find)]))
    this.#letters = new Map(letters.map(rules => [rules.name, new Letters(rules, keeps, find)]))
  }

  /** The next record of the input, after all before it under its key. */
  give(one: Given): void {
    for (const due of this.#model.due(one)) for (const outputs of this.#outputs.values()) outputs.expect(due)
    for (const letters of this.#letters.values()) letters.expect(one)
  }

  /** The next output as this stream holds it. */
  stored(name: string, came: Came): void {
    this.#outputs.get(name)!.stored(came)
  }

  /** The next output of this stream as a reader of ours sees it. */
  read(name: string, came: Came): void {
    this.#outputs.get(name)!.read(came)
  }

  /** The next dead letter as this stream holds it. */
  letterStored(name: string, letter: Letter): void {
    this.#letters.get(name)!.came('stored', letter)
  }

  /** The next dead letter of this stream as a reader of ours sees it. */
  letterRead(name: string, letter: Letter): void {
    this.#letters.get(name)!.came('read', letter)
  }

  /** How many outputs and letters are due and were not both stored and read so far. */
  get missing(): number {
    let missing = 0
    for (const { awaited } of this.#all()) missing += awaited.missing
    return missing
  }

  /** How often each thing was found so far. */
  get counts(): ReadonlyMap<FindingKind, number> {
    return this.#counts
  }

  /** Nothing more will come: what is missing is lost. Gives what was found, the first thousand of it. */
  end(): readonly Finding[] {
    for (const { awaited } of this.#all()) awaited.end()
    return this.#findings
  }

  #all(): readonly (Outputs | Letters)[] {
    return [...this.#outputs.values(), ...this.#letters.values()]
  }
}

const FINDINGS_MAX = 1000

/** What can be said of an output before it comes. */
interface Due extends Omit<Came, 'id' | 'drawn' | 'drawnBefore'> {
  readonly by: OutputRules['by']
}

/** What each record that went in must bring out. */
class Model {
  readonly #first = new Fold('first')
  readonly #second = new Fold('second')

  due(one: Given): readonly Due[] {
    if (!isGood(one)) return []
    const first = this.#first.next(one.id, one.key, one.value * 2)
    return one.ill === 'poison later' ? [first] : [first, this.#second.next(first.of, first.key, first.sum)]
  }
}

/** It comes past the filter. */
function isTaken({ value }: Given): boolean {
  return value % 5 !== 0
}

/** It comes out of the first pipeline. */
function isGood(one: Given): boolean {
  return isTaken(one) && one.ill !== 'poison' && one.ill !== 'garbled'
}

/** Which pipeline must write a dead letter about it. */
function letterOf(one: Given): OutputRules['by'] | undefined {
  if (one.ill === 'garbled') return 'first'
  if (!isTaken(one)) return undefined
  return one.ill === 'poison' ? 'first' : one.ill === 'poison later' ? 'second' : undefined
}

class Fold {
  readonly #states = new Map<string, Due>()

  constructor(readonly by: OutputRules['by']) {}

  next(of: string, key: string, value: number): Due {
    const before = this.#states.get(key) ?? { count: 0, sum: 0, fold: 7 }
    const due = {
      ...{ by: this.by, of, key },
      count: before.count + 1,
      sum: before.sum + value,
      fold: (before.fold * 31 + value) % 1_000_003,
    }
    this.#states.set(key, due)
    return due
  }
}

/** What came of one stream of outputs, held against what is due in it. */
class Outputs {
  readonly awaited: Awaited<Due>
  readonly #rules: OutputRules
  readonly #past: Past
  readonly #find: Find

  constructor(rules: OutputRules, past: Past, keeps: number, find: Find) {
    this.#rules = rules
    this.#past = past
    this.#find = (kind, what) => find(kind, `${rules.name}: ${what}`)
    this.awaited = new Awaited(rules, 'the output of', keeps, this.#find)
  }

  expect(due: Due): void {
    if (this.#rules.by === due.by && this.#rules.takes(due)) this.awaited.expect(due)
  }

  stored(came: Came): void {
    this.awaited.named(came.id)
    this.#came('stored', came)
    this.#past.add(came)
  }

  read(came: Came): void {
    const due = this.#came('read', came)
    if (due !== undefined) this.#inOrder(due)
  }

  #came(where: Where, came: Came): Place<Due> | undefined {
    const place = this.awaited.came(where, came.of)
    if (place === undefined) this.#find('foreign', `${where} holds an output of ${came.of} that should not be there`)
    else if (!isAsDue(came, place.due)) {
      this.#find('wrong', `${where} holds ${told(came)} where ${told(place.due)} is right`)
    }
    return place
  }

  /** A reader sees each key's outputs as the input has them: none before its time, none left out between two. */
  #inOrder(place: Place<Due>): void {
    // Whoever begins in the middle takes what comes late when it comes.
    if (this.#rules.isTrimmed === true) return
    const before = this.awaited.inOrder(place)
    const { of, key } = place.due
    if (place.at <= before + 1) return
    this.#find('gap', `before the output of ${of}, ${place.at - 1 - before} of key ${key} are left out`)
  }
}

/** The dead letters of one pipeline, held against those that are due. */
class Letters {
  readonly awaited: Awaited<Given>
  readonly #by: LetterRules['by']
  readonly #find: Find

  constructor(rules: LetterRules, keeps: number, find: Find) {
    this.#by = rules.by
    this.#find = (kind, what) => find(kind, `${rules.name}: ${what}`)
    this.awaited = new Awaited(rules, 'the letter about', keeps, this.#find)
  }

  expect(one: Given): void {
    if (letterOf(one) === this.#by) this.awaited.expect({ ...one, of: one.id })
  }

  came(where: Where, { of, id, isTrue }: Letter): void {
    if (where === 'stored') this.awaited.named(id)
    const place = this.awaited.came(where, of)
    if (place === undefined)
      return this.#find('foreign', `${where} holds a letter about ${of}, which could be processed`)
    if (!isTrue) this.#find('wrong', `${where} holds a letter about ${of} that says what is not so`)
    if (where === 'read') this.awaited.inOrder(place)
  }
}

/** One that is due in a stream. */
interface Place<D> {
  readonly due: D & Pick<Due, 'of' | 'key'>
  /** Which of its key in this stream it is, from 1. */
  readonly at: number
  stored: number
  read: number
}

/** What is due in a stream: whether each comes, once, and in the order of its key. */
class Awaited<D> {
  missing = 0
  readonly #rules: Pick<OutputRules, 'isTrimmed' | 'mayRepeatInStream'>
  /** `the output of`, before the id of a record. */
  readonly #called: string
  readonly #find: Find
  /** By the record that they come of: those that have not come in full, and the last of those that have. */
  readonly #places = new Map<string, Place<D>>()
  readonly #full: Recent<Place<D>>
  readonly #ids = new Ids()
  /** By key: how many are due, and the last that was read. */
  readonly #due = new Map<string, number>()
  readonly #lastRead = new Map<string, number>()

  constructor(rules: Pick<OutputRules, 'isTrimmed' | 'mayRepeatInStream'>, called: string, keeps: number, find: Find) {
    this.#rules = rules
    this.#called = called
    this.#find = find
    this.#full = new Recent(keeps)
  }

  expect(due: Place<D>['due']): void {
    const { of, key } = due
    if (this.#places.has(of)) {
      throw new Error(`two records went in under the id ${of}, so nobody could tell what is lost`)
    }
    const at = (this.#due.get(key) ?? 0) + 1
    this.#due.set(key, at)
    this.#places.set(of, { due, at, stored: 0, read: 0 })
    this.missing++
  }

  /** One is stored under this id. */
  named(id: string | undefined): void {
    if (id === undefined) this.#find('foreign', 'a record without an id is stored')
    else if (!this.#ids.add(id) && this.#rules.mayRepeatInStream !== true) {
      this.#find('duplicate', `id ${id} is stored twice`)
    }
  }

  /** Gives what is due of this record; undefined when nothing is, or it came so long ago that it is forgotten. */
  came(where: Where, of: string): Place<D> | undefined {
    const place = this.#places.get(of)
    if (place === undefined) return undefined
    const times = ++place[where]
    const isForgiven = where === 'stored' && this.#rules.mayRepeatInStream === true
    if (times > 1 && !isForgiven) this.#find('duplicate', `${this.#called} ${of} is ${where} ${times} times`)
    if (times === 1 && place.stored > 0 && place.read > 0) this.#isFull(place)
    return place
  }

  /** It is read next of its key. Gives the place of the one before it, 0 for none. */
  inOrder({ due: { of, key }, at }: Place<D>): number {
    const before = this.#lastRead.get(key) ?? 0
    if (at < before) this.#find('out of order', `${this.#called} ${of} is read after a later one`)
    this.#lastRead.set(key, Math.max(at, before))
    return before
  }

  end(): void {
    if (this.#rules.isTrimmed === true) return
    for (const { due, stored, read } of this.#places.values()) {
      if (stored === 0) this.#find('lost', `${this.#called} ${due.of} is not stored`)
      if (read === 0) this.#find('lost', `${this.#called} ${due.of} is not read`)
    }
  }

  #isFull(place: Place<D>): void {
    this.missing--
    const forgotten = this.#full.add(place)
    if (forgotten !== undefined) this.#places.delete(forgotten.due.of)
  }
}

/** Each output knows what was drawn before it: nothing that is out was made again in another way. */
class Past {
  readonly #find: Find
  /** By key, then by count: the last that came, and those whose next is still to come. */
  readonly #keys = new Map<string, Map<number, Drawn>>()
  readonly #recent: Recent<Drawn>

  constructor(keeps: number, find: Find) {
    this.#find = find
    this.#recent = new Recent(keeps)
  }

  add({ of, key, count, drawn, drawnBefore }: Came): void {
    const ofKey = this.#keys.get(key) ?? new Map<number, Drawn>()
    this.#keys.set(key, ofKey)
    const one: Drawn = { of, key, count, drawn, drawnBefore, isOld: false }
    const [before, after] = [ofKey.get(count - 1), ofKey.get(count + 1)]
    this.#follows(one, count === 1 ? 0 : before?.drawn)
    if (after !== undefined) this.#follows(after, drawn)
    ofKey.set(count, one)
    if (before?.isOld === true) ofKey.delete(before.count)
    const old = this.#recent.add(one)
    if (old !== undefined) this.#forget(old)
  }

  #forget(old: Drawn): void {
    const ofKey = this.#keys.get(old.key)
    if (ofKey?.get(old.count) !== old) return
    old.isOld = true
    if (ofKey.has(old.count + 1)) ofKey.delete(old.count)
  }

  #follows({ of, drawnBefore }: Drawn, drawn: number | undefined): void {
    if (drawn === undefined || drawn === drawnBefore) return
    this.#find('torn', `the output of ${of} came after another one than what is there before it`)
  }
}

interface Drawn extends Pick<Came, 'of' | 'key' | 'count' | 'drawn' | 'drawnBefore'> {
  /** To be kept only until the next one of its key comes. */
  isOld: boolean
}

/** The last so and so many of what was added. */
class Recent<T> {
  readonly #kept: T[] = []
  #oldest = 0

  constructor(readonly keeps: number) {}

  /** Gives the one that it forgets for it. */
  add(one: T): T | undefined {
    if (this.keeps === Infinity) return undefined
    if (this.#kept.length < this.keeps) {
      this.#kept.push(one)
      return undefined
    }
    const forgotten = this.#kept[this.#oldest]
    this.#kept[this.#oldest] = one
    this.#oldest = (this.#oldest + 1) % this.keeps
    return forgotten
  }
}

/** Which ids were seen. Those that end in numbers which are counted from 1 on take no memory each. */
export class Ids {
  readonly #numbers = new Map<string, Numbers>()

  /** False when it was there before. */
  add(id: string): boolean {
    const [, before = id, n = '1'] = /^(.*\/)([1-9]\d{0,14})$/.exec(id) ?? []
    let numbers = this.#numbers.get(before)
    if (numbers === undefined) this.#numbers.set(before, (numbers = new Numbers()))
    return numbers.add(Number(n))
  }
}

/** Which numbers were seen: all below one, and some above. */
class Numbers {
  #next = 1
  readonly #above = new Set<number>()

  add(n: number): boolean {
    if (n < this.#next || this.#above.has(n)) return false
    this.#above.add(n)
    while (this.#above.delete(this.#next)) this.#next++
    return true
  }
}

function isAsDue(came: Came, due: Due): boolean {
  return came.key === due.key && came.count === due.count && came.sum === due.sum && came.fold === due.fold
}

function told({ key, of, count, sum, fold }: Omit<Due, 'by'>): string {
  return `${key}/${of} count ${count} sum ${sum} fold ${fold}`
}
