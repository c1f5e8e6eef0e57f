/**
 * Judges what came out of a pipeline by what went in, with a model of its own: nothing here is shared with the code
 * under test. The pipeline it knows is the one that every simulated seed runs: values that are not multiples of five
 * go on, doubled, and each tells how many came under its key so far, their sum, and a fold in which their order shows.
 * A second pipeline may take what comes out of the first, and does the same with the sums. Each step also draws a number
 * by chance and tells the one that was drawn before under its key, so that work which was done again shows. Records that
 * cannot be processed must have one dead letter each, and all else must be as if they had never been.
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

/** One stream of outputs: as it is stored, and as a reader of ours sees it. */
export interface OutputStream {
  readonly name: string
  /** Which pipeline writes it. */
  readonly by: 'first' | 'second'
  /** Which of its outputs belong into it. */
  readonly takes: (came: Pick<Came, 'count' | 'sum'>) => boolean
  readonly stored: readonly Came[]
  readonly read: readonly Came[]
  /** Retention has dropped some: what is not stored is not lost, and readers begin in the middle. */
  readonly isTrimmed?: boolean
  /** The edge of what is promised: bytes were on their way for longer than ids are known. */
  readonly mayRepeatInStream?: boolean
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
export interface LetterStream extends Pick<OutputStream, 'name' | 'by' | 'mayRepeatInStream'> {
  readonly stored: readonly Letter[]
  readonly read: readonly Letter[]
}

export interface History {
  readonly given: readonly Given[]
  readonly outputs: readonly OutputStream[]
  readonly letters: readonly LetterStream[]
}

export type FindingKind = 'lost' | 'duplicate' | 'out of order' | 'gap' | 'wrong' | 'torn' | 'foreign'

export interface Finding {
  readonly kind: FindingKind
  readonly what: string
}

/** Everything that is wrong; nothing when all is well. */
export function check(history: History): Finding[] {
  const { given } = history
  const first = model(given)
  const fatal = new Set(given.filter(({ ill }) => ill === 'poison later').map(({ id }) => id))
  const taken = [...first.values()].filter(({ of }) => !fatal.has(of))
  const second = folded(taken.map(({ of, key, sum }) => ({ id: of, key, value: sum })))
  const by = (which: OutputStream['by']) => history.outputs.filter(output => output.by === which)
  return [
    ...by('first').flatMap(output => checkStream(output, first)),
    ...by('second').flatMap(output => checkStream(output, second)),
    ...checkPast(by('first')),
    ...checkPast(by('second')),
    ...history.letters.flatMap(letters => checkLetters(letters, lettersDue(given, letters.by))),
  ]
}

/** The records that must have a dead letter, in the order of the input. */
export function lettersDue(given: readonly Given[], by: OutputStream['by']): Given[] {
  if (by === 'second') return given.filter(one => one.ill === 'poison later' && isTaken(one))
  return given.filter(one => one.ill === 'garbled' || (one.ill === 'poison' && isTaken(one)))
}

function checkLetters(letters: LetterStream, due: readonly Given[]): Finding[] {
  const findings: Finding[] = []
  const add = (kind: FindingKind, what: string) => findings.push({ kind, what: `${letters.name}: ${what}` })
  checkIds(letters, add)
  const places = new Map(due.map(({ id, key }, place) => [id, { key, place }]))
  for (const where of ['stored', 'read'] as const) {
    const times = new Map<string, number>()
    const last = new Map<string, number>()
    for (const { of, isTrue } of letters[where]) {
      times.set(of, (times.get(of) ?? 0) + 1)
      const due = places.get(of)
      if (due === undefined) add('foreign', `${where} holds a letter about ${of}, which could be processed`)
      else if (!isTrue) add('wrong', `${where} holds a letter about ${of} that says what is not so`)
      if (due === undefined || where === 'stored') continue
      if (due.place < (last.get(due.key) ?? -1)) add('out of order', `the letter about ${of} is read after a later one`)
      last.set(due.key, due.place)
    }
    for (const [of, count] of times) {
      const forgiven = where === 'stored' && letters.mayRepeatInStream === true
      if (count > 1 && !forgiven) add('duplicate', `the letter about ${of} is ${where} ${count} times`)
    }
    for (const { id } of due) if (!times.has(id)) add('lost', `the letter about ${id} is not ${where}`)
  }
  return findings
}

/** Each output knows what was drawn before it: nothing that is out was made again in another way. */
function checkPast(outputs: readonly OutputStream[]): Finding[] {
  const drawn = new Map<string, number>()
  const stored = outputs.flatMap(output => output.stored)
  for (const came of stored) drawn.set(`${came.key}/${came.count}`, came.drawn)
  return stored.flatMap(({ of, key, count, drawnBefore }): Finding[] => {
    const before = count === 1 ? 0 : drawn.get(`${key}/${count - 1}`)
    if (before === undefined || before === drawnBefore) return []
    return [{ kind: 'torn', what: `the output of ${of} came after another one than what is there before it` }]
  })
}

/** What can be said of an output before it comes. */
type Expected = Omit<Came, 'id' | 'drawn' | 'drawnBefore'>

/** What each record that went in must bring out, by its id, in the order of the input. */
function model(given: readonly Given[]): Map<string, Expected> {
  const good = given.filter(one => isTaken(one) && one.ill !== 'poison' && one.ill !== 'garbled')
  return folded(good.map(one => ({ ...one, value: one.value * 2 })))
}

/** It comes past the filter. */
function isTaken({ value }: Given): boolean {
  return value % 5 !== 0
}

function folded(given: readonly Given[]): Map<string, Expected> {
  const states = new Map<string, Pick<Came, 'count' | 'sum' | 'fold'>>()
  const expected = new Map<string, Expected>()
  for (const { id, key, value } of given) {
    const before = states.get(key) ?? { count: 0, sum: 0, fold: 7 }
    const state = {
      count: before.count + 1,
      sum: before.sum + value,
      fold: (before.fold * 31 + value) % 1_000_003,
    }
    states.set(key, state)
    if (expected.has(id)) throw new Error(`two records went in under the id ${id}, so nobody could tell what is lost`)
    expected.set(id, { of: id, key, ...state })
  }
  return expected
}

/** How many outputs of each pipeline must come; with fewer there is no need to look. */
export function outputsDue(given: readonly Given[], takes: OutputStream['takes']): number {
  let due = 0
  for (const came of model(given).values()) if (takes(came)) due++
  return due
}

function checkStream(output: OutputStream, model: ReadonlyMap<string, Expected>): Finding[] {
  const expected = new Map([...model].filter(([, came]) => output.takes(came)))
  const findings: Finding[] = []
  const add = (kind: FindingKind, what: string) => findings.push({ kind, what: `${output.name}: ${what}` })

  checkIds(output, add)
  for (const [where, seen] of [
    ['stored', output.stored],
    ['read', output.read],
  ] as const) {
    const times = new Map<string, number>()
    for (const came of seen) {
      times.set(came.of, (times.get(came.of) ?? 0) + 1)
      const want = expected.get(came.of)
      if (want === undefined) add('foreign', `${where} holds an output of ${came.of} that should not be there`)
      else if (told(want) !== told(came)) add('wrong', `${where} holds ${told(came)} where ${told(want)} is right`)
    }
    for (const [of, count] of times) {
      const forgiven = where === 'stored' && output.mayRepeatInStream === true
      if (count > 1 && !forgiven) add('duplicate', `the output of ${of} is ${where} ${count} times`)
    }
    if (output.isTrimmed === true) continue
    for (const of of expected.keys()) if (!times.has(of)) add('lost', `the output of ${of} is not ${where}`)
  }
  // Whoever begins in the middle takes what comes late when it comes.
  if (output.isTrimmed !== true) checkOrder(output, expected, add)
  return findings
}

function checkIds(
  { stored, mayRepeatInStream }: Pick<OutputStream | LetterStream, 'stored' | 'mayRepeatInStream'>,
  add: (kind: FindingKind, what: string) => void,
): void {
  const ids = new Set<string>()
  for (const { id } of stored) {
    if (id === undefined) add('foreign', 'a record without an id is stored')
    else if (ids.has(id) && mayRepeatInStream !== true) add('duplicate', `id ${id} is stored twice`)
    if (id !== undefined) ids.add(id)
  }
}

/** The reader sees each key's outputs as the input has them: none before its time, none left out between two. */
function checkOrder(
  { read }: OutputStream,
  expected: ReadonlyMap<string, Expected>,
  add: (kind: FindingKind, what: string) => void,
): void {
  const places = new Map<string, number>()
  const perKey = new Map<string, number>()
  for (const { of, key } of expected.values()) {
    const place = (perKey.get(key) ?? 0) + 1
    perKey.set(key, place)
    places.set(of, place)
  }
  const last = new Map<string, number>()
  for (const { of, key } of read) {
    const place = places.get(of)
    if (place === undefined) continue
    const before = last.get(key)
    if (before !== undefined && place < before) add('out of order', `the output of ${of} is read after a later one`)
    else if (place > (before ?? 0) + 1) {
      add('gap', `before the output of ${of}, ${place - 1 - (before ?? 0)} of key ${key} are left out`)
    }
    last.set(key, Math.max(place, before ?? 0))
  }
}

const told = ({ key, of, count, sum, fold }: Expected): string => `${key}/${of} count ${count} sum ${sum} fold ${fold}`
